"""Train a head on drawn pets and draw the two figures of README.md; write nbs/images/top_losses.jpg and confusion.png.

    python benchmarks/readme_figures.py"""
import tempfile
from pathlib import Path
from petpoo.all import *

IMAGES = Path(__file__).parent.parent/'nbs'/'images'

def main():
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=740, size=192, seed=1)
        table = split_table(read_table(f'{tmp}/pets'), valid=0.3)
        learn = get_learner(get_dls(table, size=192), 'tf_efficientnet_lite0')
        learn.fit_head()
        interp = PetInterpretation.from_learner(learn)
        fig = interp.plot_top_losses(5, heatmaps=True)
        fig.savefig(IMAGES/'top_losses.jpg', dpi=80, pil_kwargs=dict(quality=80))
        ax = interp.plot_confusion_matrix()
        np.ravel(ax)[0].figure.savefig(IMAGES/'confusion.png', dpi=60)

if __name__ == '__main__': main()
