import numpy as np
import pytest

from retouch.evaluate.probe import Probe


def _clusters(seed, names=("cat", "cat face", "dog"), count=20, width=12):
    centres = np.random.default_rng(1).normal(0, 2, (len(names), width))
    rng = np.random.default_rng(seed)
    labels = [name for name in names for _ in range(count)]
    rows = np.repeat(centres, count, axis=0) + rng.normal(0, 0.5, (len(labels), width))
    return rows.astype(np.float32), labels


@pytest.mark.parametrize("names", [("cat", "dog"), ("cat", "cat face", "dog")])
def test_easy_classes_are_told_apart_on_rows_not_seen(names):
    probe = Probe.fit(*_clusters(0, names), inverse_penalty=1.0)
    rows, labels = _clusters(9, names)
    assert [ranking[0] for ranking in probe.ranking(rows)] == labels


def test_probabilities_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rows, labels = _clusters(0)
    probe = Probe.fit(rows, labels, inverse_penalty=0.1)
    model = LogisticRegression(C=0.1, max_iter=300).fit((rows - probe.centre) / probe.scale, labels)
    expected = model.predict_proba((rows - probe.centre) / probe.scale)
    np.testing.assert_allclose(probe.probabilities(rows), expected, atol=1e-4)


def test_a_saved_probe_says_the_same(tmp_path):
    rows, labels = _clusters(0)
    probe = Probe.fit(rows, labels)
    probe.save(tmp_path / "cache" / "probe.npz")
    again = Probe.load(tmp_path / "cache" / "probe.npz")
    assert again.classes == probe.classes
    np.testing.assert_array_equal(again.probabilities(rows), probe.probabilities(rows))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["probe.npz"]


def test_every_class_is_ranked_once():
    probe = Probe.fit(*_clusters(0))
    assert sorted(probe.ranking(_clusters(2)[0])[0]) == ["cat", "cat face", "dog"]


def test_one_class_is_no_question():
    with pytest.raises(ValueError, match="two names"):
        Probe.fit(np.zeros((3, 2), np.float32), ["cat"] * 3)
