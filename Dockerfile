# The page in a slim image: no torch, no CUDA. It serves the classifier that petpoo ships; compose.yaml tells how to mount another.
# .ci/container.sh runs the lines of this file in a fresh virtual environment.
FROM python:3.12-slim
COPY . /tmp/petpoo
RUN pip install --no-cache-dir '/tmp/petpoo[app]'
RUN useradd --uid 10001 --create-home petpoo && mkdir /feedback && chown petpoo /feedback && rm -rf /tmp/petpoo
USER petpoo
WORKDIR /home/petpoo
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/health', timeout=4)"
CMD ["petpoo", "app", "--host", "0.0.0.0", "--feedback", "/feedback"]
