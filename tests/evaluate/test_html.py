from html.parser import HTMLParser

from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.html import to_html
from retouch.evaluate.report import PainterReport, Report


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _page(name="grey <fill>"):
    scores = {"held-out": {"colour": Estimate(0.5, 0.4, 0.6, 80)}}
    report = Report(
        title="A & B",
        protocol="pocket 1",
        settings={},
        measures={"colour": 'the "asked" colour'},
        painters=(PainterReport(name, 0.0, scores),),
        sheets=(("sheets/0.png", "hole, truth, fill"),),
    )
    reader = _Reader()
    reader.feed(to_html(report))
    return reader


def test_the_page_is_well_formed_and_escapes_what_it_is_told():
    reader = _page("<script>alert(1)</script>")
    assert reader.open == []
    assert "<script>alert(1)</script>" in reader.text  # as text, not as a tag


def test_the_page_needs_nothing_from_other_hosts():
    assert _page().links == ["sheets/0.png"]


def test_values_and_intervals_are_there():
    text = "".join(_page().text)
    assert "50%" in text
    assert "[40, 60]" in text
