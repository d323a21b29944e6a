import base64
import re
from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.picture import stage_picture
from prefect_delivery.stage_view import stage_page, stage_table

HOSTILE = "</text><script>alert(1)</script> | [x](javascript:y) `z`\x1b\ud800"
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [
        "".join([text.text or "", *(child.tail or "" for child in text)])
        for text in root.iter(f"{SVG}text")
    ]


def with_note(execution: Execution, note: str, link: str | None = None) -> Execution:
    run = execution.stages["Source"].actions["app"][0]
    noted: ActionRun = replace(run, summary=note, link=link)
    stage = StageRun(status=Status.SUCCEEDED, actions={"app": (noted,)})
    return replace(execution, stages=execution.stages | {"Source": stage})


def test_the_picture_says_by_marks_what_it_says_by_colours(
    failed: Execution, now: datetime
) -> None:
    assert texts(stage_picture(failed, now=now)) == [
        "✓ Source  2s",
        "✓ app  2s",
        "✗ Build  11s",
        "✗ unit  3s",
        "✓ package  1s",
        "○ Production",
        "○ ok",
        "↓",
        "○ deploy",
    ]


def test_a_definition_is_drawn_before_it_has_run(shop: Pipeline) -> None:
    drawn = texts(stage_picture(shop))

    assert drawn[:2] == ["○ Source", "○ app"]


def test_text_stays_inside_its_box(failed: Execution, now: datetime) -> None:
    svg = ElementTree.fromstring(stage_picture(failed, now=now))

    boxes = [
        (float(box.get("x", 0)), float(box.get("width", 0)))
        for box in svg.iter(f"{SVG}rect")
    ]
    for text in svg.iter(f"{SVG}text"):
        start = float(text.get("x", 0))
        end = start + 7.2 * max(map(len, texts(ElementTree.tostring(text, "unicode"))))
        assert any(x < start and end < x + width for x, width in boxes)


def test_stages_side_by_side_share_a_column(shop: Pipeline) -> None:
    data = shop.snapshot()
    data["stages"]["Lint"] = {
        "needs": ["Source"],
        "actions": data["stages"]["Source"]["actions"],
    }
    forked = Pipeline.model_validate(data)

    svg = ElementTree.fromstring(stage_picture(forked))

    columns = [box.get("x") for box in svg.iter(f"{SVG}rect")]
    assert len(columns) == 4
    assert len(set(columns)) == 3


def test_hostile_text_is_neither_a_tag_nor_markdown(
    failed: Execution, now: datetime
) -> None:
    hostile = with_note(failed, HOSTILE, link="https://example.org/a|b) c")

    svg, table = stage_picture(hostile, now=now), stage_table(hostile, now=now)

    assert "<script" not in svg + table
    assert ElementTree.fromstring(svg) is not None
    row = table.splitlines()[2]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert "](https://example.org/a%7Cb%29%20c)" in row
    assert r"\[x\](javascript:y)" in row


def test_a_link_that_is_no_web_address_is_left_out(
    failed: Execution, now: datetime
) -> None:
    table = stage_table(with_note(failed, "see", link="javascript:alert(1)"), now=now)

    assert "javascript" not in table


def test_the_page_carries_the_picture_in_itself(
    failed: Execution, now: datetime
) -> None:
    page = stage_page(failed, now=now)

    image = re.search(r"\(data:image/svg\+xml;base64,([^)]+)\)", page)
    assert image
    assert base64.b64decode(image[1]).decode() == stage_picture(failed, now=now)
    assert page.startswith("## ✗ shop \\#42 · failed · 13s\n")
    assert "| ✗ Build | unit | ✗ failed | 3s | 1 failed, 411 passed |" in page


def test_a_rollback_shows_only_the_stage_it_runs(
    failed: Execution, now: datetime
) -> None:
    rollback = replace(failed, only=("Production",), stages={})

    assert texts(stage_picture(rollback, now=now))[0] == "○ Production"
