"""Check that every link of a site leads to one of its pages; write `links.xml`."""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as xml


class Links(HTMLParser):
    """Collects the targets of all links of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.targets.append(target)


def results(site: Path) -> Iterator[tuple[str, bool]]:
    """Every link, as `page -> target`, and whether it leads somewhere."""
    for page in sorted(site.rglob("*.html")):
        for target in Links(page).targets:
            if "://" not in target:
                file = page.parent / target.partition("#")[0]
                yield f"{page.name} -> {target}", file.is_file()


def main(site: Path) -> int:
    suite = xml.Element("testsuite", name="links")
    broken = 0
    for name, leads in results(site):
        case = xml.SubElement(suite, "testcase", classname="links", name=name)
        if not leads:
            xml.SubElement(case, "failure", message="there is no such page")
            broken += 1
    xml.ElementTree(suite).write("links.xml")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
