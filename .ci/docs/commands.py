"The options of every command as tables, from the parser that reads them."
import argparse, re
from petpoo.cli import make_parser

INTRO = '''# Commands

> Every command with its options; `petpoo COMMAND --help` prints the same in a shell

A command exits with 0 on success, 1 on an error that you can fix, and 2 on wrong usage. `petpoo --debug COMMAND` shows the
traceback of an error.'''

def parsers():
    "Name -> parser of each command, in the order of the work."
    return next(o.choices for o in make_parser()._actions if isinstance(o, argparse._SubParsersAction))

def row(*cells):
    return '| ' + ' | '.join(o.replace('|', r'\|').replace('\n', '<br>') for o in cells) + ' |'

def usage(action):
    "An option with the value it takes, or the name of an argument."
    value = action.metavar or action.dest.upper()
    if not action.option_strings: return f'`{action.metavar or action.dest}`'
    values = [] if action.nargs == 0 or action.choices else [value] if isinstance(value, str) else value
    return f'`{" ".join([*action.option_strings, *values])}`'

def code(text, names):
    "Commands and options in backticks, so that commands become links and no typography changes the dashes."
    return re.sub(rf'petpoo (?:{"|".join(names)})(?: --[\w-]+)?|(?<![\w-])--[\w-]+', r'`\g<0>`', text)

def option(action, names):
    "A row: an option, its default, its meaning. The help text names the default where it is not a plain value."
    text = action.help % vars(action)
    named = re.search(r'\(default: ([^);]+)(?:; ([^)]+))?\)', text)
    default = named[1] if named else action.default if isinstance(action.default, str | int | float) else ''
    if named: text = text.replace(f' {named[0]}', f' ({named[2]})' if named[2] else '')
    if action.choices and f'{[*action.choices][0]}:' not in text: text += f': {", ".join(action.choices)}'
    if action.nargs == 0: default = ''
    return row(usage(action), str(default), code(text.replace(' (default)', ''), names))

def table(group, names):
    "The arguments of one group."
    rows = [option(o, names) for o in group._group_actions if o.dest != 'help']
    title = group.title.capitalize().replace('Positional arguments', 'Arguments')
    head = row('argument' if title == 'Arguments' else 'option', 'default', 'meaning')
    return '\n'.join([f'**{title}**', '', head, row(*['---']*3), *rows]) if rows else ''

def section(name, parser, names):
    "What a command does, its options and examples; the label is the target of links."
    examples = (parser.epilog or '').partition('\n')[2]
    lines = '\n'.join(re.sub(r'(   +)(?=\w)', r'\1# ', o.strip()) for o in examples.splitlines())
    parts = [f'(petpoo-{name})=', f'## petpoo {name}', parser.description,
             *(table(o, names) for o in parser._action_groups), f'```sh\n{lines}\n```' if lines else '']
    return '\n\n'.join(filter(None, parts))

def commands_page():
    "The page as Markdown."
    found = parsers()
    return '\n\n'.join([INTRO, *(section(name, parser, [*found]) for name, parser in found.items())])
