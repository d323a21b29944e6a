"""Make the pages in `site/` from those in `pages/`, and check their links."""

import os
import re
import sys
from html import escape
from pathlib import Path
from string import Template

PAGE = Template(Path("template.html").read_text())
LINK = re.compile(r'href="([^":#]+)"')


def main() -> int:
    site = Path("site")
    site.mkdir(exist_ok=True)
    revision = escape(os.environ.get("REVISION", "draft"))
    for page in sorted(Path("pages").glob("*.html")):
        text = PAGE.substitute(
            title=page.stem.capitalize(), body=page.read_text(), revision=revision
        )
        (site / page.name).write_text(text)
    broken = [
        f"{page.name} -> {target}"
        for page in sorted(site.glob("*.html"))
        for target in LINK.findall(page.read_text())
        if not (site / target).is_file()
    ]
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
