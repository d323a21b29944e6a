"""Make the pages in `site/` from those in `pages/`."""

import os
from html import escape
from pathlib import Path
from string import Template

PAGE = Template(Path("template.html").read_text())


def main() -> None:
    site = Path("site")
    site.mkdir(exist_ok=True)
    revision = escape(os.environ.get("REVISION", "draft"))
    for page in sorted(Path("pages").glob("*.html")):
        title = page.stem.capitalize()
        text = PAGE.substitute(title=title, body=page.read_text(), revision=revision)
        (site / page.name).write_text(text)


if __name__ == "__main__":
    main()
