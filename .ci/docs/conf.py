"How the site is rendered: nothing is fetched, neither while it is built nor while it is read."
from configparser import ConfigParser
from pathlib import Path
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

parser = ConfigParser(delimiters=['='], interpolation=None)
parser.read(Path(__file__).parents[2]/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']

project, author, release = cfg['title'], cfg['author'], cfg['version']
copyright = cfg['copyright']
extensions = ['myst_nb', 'sphinx.ext.viewcode', 'sphinx.ext.githubpages']

# MyST-NB: outputs are taken as they are stored
nb_execution_mode = 'off'
nb_ipywidgets_js = {}
nb_output_stderr = 'remove-warn' # no stored output holds another library's warning
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
nitpicky, nitpick_ignore_regex = True, [('py:class', '.*')] # every link has to lead somewhere; types of other libraries are names

# Furo, with the fonts that the reader has
html_theme, html_title = 'furo', project
html_baseurl = cfg['doc_host'] + cfg['doc_baseurl'] + '/'
html_static_path, html_css_files = ['static'], ['petpoo.css']
html_theme_options = dict(source_repository=cfg['git_url'], source_branch=cfg['branch'], source_directory='nbs/', top_of_page_buttons=[])
html_copy_source = False
maximum_signature_line_length = 88
python_display_short_literal_types = add_module_names = False
html_math_renderer = 'mathml'

def formula(as_block):
    "MathML, which browsers draw without a script."
    def visit(writer, node):
        writer.body.append(tex2mathml(node.astext(), as_block=as_block))
        raise nodes.SkipNode
    return visit

def setup(app): app.add_html_math_renderer('mathml', (formula(False), None), (formula(True), None))
