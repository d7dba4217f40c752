from dataclasses import replace

from retouch.evaluate.baselines import TruthPainter
from retouch.evaluate.judge import Judge
from retouch.evaluate.judge_check import confusions, outsider_worth, swapped, wrong_prompts
from retouch.evaluate.scoring import paint_and_judge


def test_swapped_cases_never_ask_for_their_own(cases):
    objects = [case for case in cases if case.concept is not None]
    for before, after in zip(objects, swapped(objects, seed=1)):
        assert after.concept != before.concept
        assert (after.colour is None) == (before.colour is None)
        assert after.colour is None or after.colour != before.colour
    assert swapped(objects, seed=1)[0].concept == swapped(objects, seed=1)[0].concept


def test_wrong_prompts_are_believed_less_than_right_ones(judge, cases):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    fooled = wrong_prompts(painted, judge)
    right = [o.is_asked_object for o, case in zip(painted.opinions, cases) if case.concept is not None]
    assert fooled["object_top1"].value < sum(right) / len(right)
    assert fooled["colour"].value < 0.5


def test_the_outsider_is_shown_objects_of_the_held_out_set_alone(judge, data_folder):
    both = Judge(judge.extractor, judge.probe, judge.probe)
    worth = outsider_worth(data_folder, data_folder, both, size=32, count=12)
    assert worth["outsider_top1"].count == worth["outsider_top5"].count == 12
    assert worth["outsider_top1"].value > 0.5
    nobody = outsider_worth(data_folder, data_folder, judge, size=32, count=2)
    assert nobody["outsider_top1"].count == 0


def test_confusions_are_counted_and_related_names_marked(judge, cases):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    case = next(case for case in cases if case.concept is not None)
    seen = replace(painted.opinions[case.number], rank=2, objects=("cat face", "cat", "dog", "cup", "vase"))
    asked = [replace(case, concept="cat")] * 3 + [replace(case, concept="dog"), replace(case, concept=None)]
    found = confusions(asked, [seen] * 5)
    assert [(row.asked, row.seen, row.count, row.is_related) for row in found] == [
        ("cat", "cat face", 3, True),
        ("dog", "cat face", 1, False),
    ]
