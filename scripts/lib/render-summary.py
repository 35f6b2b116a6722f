"""A job summary as a page: render-summary.py FILE.md WIDTH > page.html

The parser is CommonMark with tables, as GitHub's is; the style imitates GitHub's light theme.
"""

import pathlib
import sys

from markdown_it import MarkdownIt

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1f2328; width: WIDTHpx;
  font: 14px/1.5 "Noto Sans", "Noto Color Emoji", sans-serif; }
main { padding: 16px; overflow: hidden; }
main > :first-child { margin-top: 0; }
main > :last-child { margin-bottom: 0; }
h2 { font-size: 1.5em; line-height: 1.25; font-weight: 600; margin: 24px 0 16px; padding-bottom: .3em;
  border-bottom: 1px solid #d1d9e0b3; }
p, blockquote, ul, table, pre, details { margin: 0 0 16px; }
a { color: #0969da; text-decoration: underline; }
code { font: 85% "Noto Sans Mono", "Noto Color Emoji", monospace; background: #818b981f; border-radius: 6px; padding: .2em .4em; white-space: break-spaces; }
pre { background: #f6f8fa; border-radius: 6px; padding: 16px; overflow: auto; line-height: 1.45; }
pre code { background: none; padding: 0; white-space: pre; font-size: 85%; }
blockquote { padding: 0 1em; color: #59636e; border-left: .25em solid #d1d9e0; }
blockquote > :last-child { margin-bottom: 0; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0; border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0; text-align: left; }
th { font-weight: 600; }
tr:nth-child(2n) td { background: #f6f8fa; }
ul { padding-left: 2em; }
sub { font-size: 75%; line-height: 0; position: relative; bottom: -.25em; }
summary { cursor: pointer; }
"""

HEIGHT = "document.body.dataset.height = Math.ceil(document.querySelector('main').getBoundingClientRect().height);"


def main():
    text, width = pathlib.Path(sys.argv[1]).read_text(), int(sys.argv[2])
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    style = STYLE.replace("WIDTH", str(width))
    sys.stdout.write(f'<!doctype html><meta charset="utf-8"><style>{style}</style><body><main>{body}</main>'
                     f"<script>{HEIGHT}</script></body>")


main()
