from retouch.data.sources import PERMISSIVE, SOURCES, admits


def test_permissive_admits_no_copyleft():
    for licence in ("GPL-2.0-or-later", "CC-BY-SA-3.0", "GFDL", "GFDL or CC-BY-SA-2.5", ""):
        assert not admits("permissive", licence)
        assert admits("all", licence)


def test_permissive_admits_what_the_released_model_uses():
    used = {SOURCES[key].licence for key in ("fluent", "noto", "openclipart", "pmndrs", "blender", "drawn")}
    assert used <= PERMISSIVE


def test_every_fetched_source_says_where_it_lies():
    for key, source in SOURCES.items():
        assert source.key == key
        assert source.client == "own" or (source.archive and source.folder and source.version)
