"""The service through its real SDK: what it refuses is refused, and what it does not answer was not judged."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.safety.azure.service import (
    KEY,
    Answer,
    ContentSafetyService,
    analysis,
    drip,
    drop,
    error,
    hang,
    raw,
    running,
    shaped,
)
from tests.safety.red import RED, exhibit, grey

from retouch.errors import Unavailable
from retouch.request import InpaintRequest
from retouch.safety.azure.content_safety import AzureContentSafety
from retouch.safety.breaker import CircuitOpen
from retouch.safety.judge import inspect
from retouch.safety.patience import Patience, ServiceFault
from retouch.safety.screens import screen_request

Connect = Callable[..., AzureContentSafety]


def asking(prompt: str, **fields: Any) -> InpaintRequest:
    return InpaintRequest(prompt, grey(), **fields)


def categories(connected: AzureContentSafety, prompt: str, **fields: Any) -> list[str]:
    return [finding.category for finding in connected.screen(asking(prompt, **fields)).findings]


def red(height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), RED, np.uint8)


def test_a_harmless_prompt_passes_and_is_sent_as_documented(
    connected: Connect, service: ContentSafetyService
) -> None:
    assert connected().screen(asking("a red apple")).decision == "pass"
    (call,) = service.calls
    assert (call.headers["Ocp-Apim-Subscription-Key"], call.kind) == (KEY, "text")
    assert call.body == {
        "text": "a red apple",
        "categories": ["Hate", "SelfHarm", "Sexual", "Violence"],
        "outputType": "FourSeverityLevels",
    }


def test_a_severity_at_the_threshold_is_refused_by_the_name_of_its_category(connected: Connect) -> None:
    asks = connected(threshold=4)
    assert categories(asks, "violence3") == []
    assert categories(asks, "violence4 and selfharm7") == ["self_harm", "violence"]
    result = asks.screen(asking("violence6"))
    assert result.as_dict()["version"].startswith("azure-ai-contentsafety ")


def test_each_category_can_have_its_own_threshold(connected: Connect) -> None:
    asks = connected(threshold=2, threshold_violence=6, threshold_self_harm=4)
    assert categories(asks, "violence5 selfharm3 hate1 sexual1") == []
    assert categories(asks, "violence5 selfharm5 hate2 sexual2") == ["hate", "self_harm", "sexual"]


def test_eight_levels_tell_apart_what_four_do_not(connected: Connect, service: ContentSafetyService) -> None:
    four, eight = connected(threshold=3), connected(threshold=3, text_levels=8)
    assert categories(four, "hate2") == ["hate"]  # reported as 2, which may have been 3
    assert categories(eight, "hate2") == []
    assert categories(eight, "hate3") == ["hate"]
    assert service.calls[-1].body["outputType"] == "EightSeverityLevels"


def test_the_negative_prompt_is_read_too_and_named(connected: Connect, service: ContentSafetyService) -> None:
    result = connected().screen(asking("a cat", negative_prompt="violence4"))
    assert (result.decision, result.subject) == ("block", "negative prompt")
    assert [call.body["text"] for call in service.calls] == ["a cat", "violence4"]


def test_where_words_have_weights_what_is_meant_is_read_too(
    connected: Connect, service: ContentSafetyService
) -> None:
    asks = connected()
    assert categories(asks, "a (viol:1.2)ence4") == []
    assert categories(asks, "a (viol:1.2)ence4", prompt_syntax="a1111") == ["violence"]
    assert categories(asks, "violence(less:0.001)4", prompt_syntax="a1111") == ["violence"]
    service.calls.clear()
    asks.screen(asking("a cat", prompt_syntax="a1111"))
    assert len(service.calls) == 1  # the same wording is paid for once


def test_blank_texts_are_not_sent(connected: Connect, service: ContentSafetyService) -> None:
    assert connected().screen(asking(" \n", negative_prompt="")).decision == "pass"
    assert service.calls == []


def test_a_term_of_a_blocklist_is_a_refusal(connected: Connect, service: ContentSafetyService) -> None:
    asks = connected(blocklists="brands")
    assert categories(asks, "an ACME anvil") == ["blocklist"]
    assert categories(asks, "an anvil") == []
    assert service.calls[0].body["blocklistNames"] == ["brands"]
    assert service.calls[0].body["haltOnBlocklistHit"] is True


def test_a_blocklist_that_is_not_there_lets_nothing_pass(connected: Connect) -> None:
    with pytest.raises(ServiceFault, match="404 ResourceNotFound"):
        connected(blocklists="brans").screen(asking("an anvil"))


def test_a_long_text_is_read_to_its_end_in_parts_that_overlap(
    connected: Connect, service: ContentSafetyService
) -> None:
    text = "a" * 9_995 + " violence6 " + "b" * 12_000
    assert categories(connected(), text) == ["violence"]
    assert connected().screen(asking("z" * 30_000)).decision == "pass"
    sent = [call.body["text"] for call in service.calls if "z" in call.body["text"]]
    assert max(map(len, sent)) <= 10_000
    assert len("".join(part[500:] for part in sent)) + 500 == 30_000


@pytest.mark.parametrize(("pixels", "decision"), [(grey(), "pass"), (red(), "flag")])
def test_pictures_are_judged_whole(
    connected: Connect, service: ContentSafetyService, pixels: np.ndarray, decision: str
) -> None:
    outcome = inspect(exhibit(pixels), [connected()], "black")
    assert outcome.decision == decision
    assert outcome.checks[0].as_dict()["thresholds"] == dict.fromkeys(
        ("hate", "self_harm", "sexual", "violence"), 2
    )
    assert [call.kind for call in service.calls] == ["image"]


def test_what_shows_on_black_and_on_white_alone_is_sent_too(
    connected: Connect, service: ContentSafetyService
) -> None:
    connected().check(exhibit(grey(), alpha=np.zeros((64, 64), np.uint8)))
    assert [int(call.picture.mean()) for call in service.calls] == [90, 0, 255]


def test_an_unsafe_end_of_a_panorama_is_found(connected: Connect) -> None:
    pixels = grey(100, 6000)
    pixels[:, 5700:] = RED
    outcome = inspect(exhibit(pixels), [connected()], "black")
    assert [finding.view for finding in outcome.findings] == ["whole, part 4/4"]


WRONG = {
    "no JSON": raw(b"<html>"),
    "no JSON, and said so": raw(b"hello", Content_Type="text/html"),
    "empty": raw(b""),
    "null": shaped(None),
    "a list": shaped([]),
    "a number": shaped(3),
    "no categories": shaped({"blocklistsMatch": []}),
    "categories null": shaped({"categoriesAnalysis": None}),
    "categories a mapping": shaped({"categoriesAnalysis": {"Hate": 0}}),
    "one missing": shaped({"categoriesAnalysis": analysis({})[1:]}),
    "one twice": shaped({"categoriesAnalysis": [*analysis({}), {"category": "Hate", "severity": 0}]}),
    "an unknown one": shaped({"categoriesAnalysis": [*analysis({}), {"category": "Gore", "severity": 0}]}),
    "no severity": shaped({"categoriesAnalysis": [*analysis({})[1:], {"category": "Hate"}]}),
    "severity null": shaped({"categoriesAnalysis": [*analysis({})[1:], {"category": "Hate", "severity": None}]}),
    "severity a text": shaped({"categoriesAnalysis": [*analysis({})[1:], {"category": "Hate", "severity": "0"}]}),
    "severity false": shaped({"categoriesAnalysis": [*analysis({})[1:], {"category": "Hate", "severity": False}]}),
    "severity of another scale": shaped({"categoriesAnalysis": analysis({"Hate": 1})}),
    "severity below 0": shaped({"categoriesAnalysis": analysis({"Hate": -2})}),
    "severity above 6": shaped({"categoriesAnalysis": analysis({"Hate": 8})}),
    "the older service's shape": shaped({"hateResult": {"category": "Hate", "severity": 0}}),
    "created": raw(b'{"categoriesAnalysis": []}', status=201),
    "no content": raw(b"", status=204),
    "unauthorized": error(401, "401"),
    "forbidden": error(403, "403"),
    "not found": error(404, "404"),
    "bad request": error(400, "InvalidRequestBody"),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_an_answer_that_is_not_as_documented_judges_nothing(
    connected: Connect, service: ContentSafetyService, answer: Answer
) -> None:
    service.script.extend([answer, answer])
    asks = connected()
    with pytest.raises(ServiceFault):
        asks.screen(asking("a cat"))
    assert inspect(exhibit(grey()), [asks], "black").decision == "failed"
    assert asks.stats().failures == 2
    assert len(service.calls) == 2  # what will not pass is not asked again


def test_a_blocklist_match_that_is_no_list_judges_nothing(
    connected: Connect, service: ContentSafetyService
) -> None:
    service.script.append(shaped({"blocklistsMatch": {}, "categoriesAnalysis": analysis({})}))
    with pytest.raises(ServiceFault, match="UnreadableAnswer"):
        connected().screen(asking("a cat"))


@pytest.mark.parametrize("answer", [error(code, "ServerBusy") for code in (408, 429, 500, 502, 503, 504)] + [drop])
def test_what_may_pass_is_asked_again_and_then_answered(
    connected: Connect, service: ContentSafetyService, answer: Answer
) -> None:
    service.script.extend([answer, answer])
    pauses: list[float] = []
    assert categories(connected(pauses=pauses), "violence4") == ["violence"]
    assert len(service.calls) == 3
    assert 0.125 <= pauses[0] <= 0.25 <= pauses[1] <= 0.5


def test_throttling_waits_as_long_as_the_service_asks(connected: Connect, service: ContentSafetyService) -> None:
    service.script.extend([error(429, "TooManyRequests", Retry_After="3"), error(429, "TooManyRequests")])
    pauses: list[float] = []
    assert connected(pauses=pauses).screen(asking("a cat")).decision == "pass"
    assert pauses[0] == 3.0
    assert pauses[1] < 1.0


def test_a_wait_beyond_the_deadline_ends_it_at_once_and_says_when_to_come_again(
    connected: Connect, service: ContentSafetyService
) -> None:
    service.script.append(error(429, "TooManyRequests", Retry_After="40"))
    pauses: list[float] = []
    with pytest.raises(ServiceFault, match="429 TooManyRequests") as caught:
        connected(pauses=pauses).screen(asking("a cat"))
    assert (caught.value.retry_after_s, pauses, len(service.calls)) == (40.0, [], 1)


def test_two_retries_are_the_most(connected: Connect, service: ContentSafetyService) -> None:
    service.script.extend([error(503, "ServerBusy")] * 9)
    with pytest.raises(ServiceFault, match="503"):
        connected().screen(asking("a cat"))
    assert len(service.calls) == 3


def test_a_service_that_hangs_or_drips_is_given_up(connected: Connect, service: ContentSafetyService) -> None:
    service.script.append(hang(service))
    with pytest.raises(ServiceFault):
        connected(Patience(read_s=0.1, retries=0)).screen(asking("a cat"))
    service.script.append(drip(service))
    with pytest.raises(ServiceFault, match="no answer in time"):
        connected(Patience(read_s=0.1, total_s=0.3)).screen(asking("a cat"))


def test_a_service_that_is_not_there_judges_nothing(connected: Connect, service: ContentSafetyService) -> None:
    service.close()
    asks = connected()
    with pytest.raises(ServiceFault, match="ServiceRequestError"):
        asks.screen(asking("a cat"))
    assert asks.stats().text_calls == 3


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(connected: Connect, service: ContentSafetyService, status: int) -> None:
    with running() as elsewhere:
        service.script.append(raw(b"", status, Location=f"{elsewhere.endpoint}/contentsafety/text:analyze"))
        with pytest.raises(ServiceFault, match=str(status)):
            connected().screen(asking("a cat"))
        assert elsewhere.calls == []


def test_failures_in_a_row_open_the_breaker_which_blocks_until_a_probe_succeeds(
    connected: Connect, service: ContentSafetyService
) -> None:
    now = [100.0]
    asks = connected(Patience(retries=0), clock=lambda: now[0])
    service.script.extend([error(500, "InternalError")] * 6)
    for _ in range(5):
        with pytest.raises(ServiceFault):
            asks.screen(asking("a cat"))
    with pytest.raises(CircuitOpen) as caught:
        asks.screen(asking("a cat"))
    assert inspect(exhibit(grey()), [asks], "black").decision == "failed"
    assert (len(service.calls), asks.stats().breaker, caught.value.retry_after_s) == (5, "open", 15.0)
    now[0] += 15.0
    assert asks.stats().breaker == "half_open"
    with pytest.raises(ServiceFault):
        asks.screen(asking("a cat"))
    assert asks.stats().breaker == "open"
    now[0] += 15.0
    assert asks.screen(asking("a cat")).decision == "pass"
    assert asks.stats().breaker == "closed"


def test_what_one_caller_sent_cannot_close_the_service_to_others(
    connected: Connect, service: ContentSafetyService
) -> None:
    asks = connected()
    service.script.extend([error(400, "InvalidRequestBody")] * 20)
    for _ in range(20):
        with pytest.raises(ServiceFault, match="400"):
            asks.screen(asking("a cat"))
    assert asks.screen(asking("a cat")).decision == "pass"


def test_calls_refusals_and_failures_are_counted(connected: Connect, service: ContentSafetyService) -> None:
    asks = connected(Patience(retries=1))
    asks.screen(asking("a cat", negative_prompt="a dog"))
    asks.screen(asking("violence6"))
    asks.check(exhibit(red()))
    service.script.extend([error(500, "InternalError")] * 2)
    with pytest.raises(ServiceFault):
        asks.check(exhibit(grey()))
    stats = asks.stats()
    assert (stats.text_calls, stats.image_calls, stats.refusals, stats.failures) == (3, 3, 2, 1)


def test_many_threads_ask_at_once_each_on_its_own_connection(
    connected: Connect, service: ContentSafetyService
) -> None:
    asks, together = connected(), threading.Barrier(8)

    def one(number: int) -> list[str]:
        together.wait(10)
        return [name for _ in range(5) for name in categories(asks, f"violence{number % 7}")]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(one, range(8)))
    assert found == [["violence"] * 5 if number % 7 >= 2 else [] for number in range(8)]
    assert len(service.calls) == 40


def test_calls_beyond_the_places_wait_and_are_then_refused(
    connected: Connect, service: ContentSafetyService
) -> None:
    asks = connected(Patience(places=1, read_s=5.0, total_s=0.3, retries=0))
    service.script.append(hang(service))
    for message in ("no answer in time", "too many calls"):
        with pytest.raises(ServiceFault, match=message):
            asks.screen(asking("a cat"))
    assert len(service.calls) == 1


def test_neither_key_nor_texts_reach_a_log_or_an_error(
    connected: Connect, service: ContentSafetyService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asks = connected()
    service.script.append(error(400, "InvalidRequestBody", "the text 'a secret wish' is refused"))
    with pytest.raises(Unavailable) as caught:
        screen_request(asking("a secret wish"), [asks])
    asks.screen(asking("a secret wish"))
    assert inspect(exhibit(grey()), [connected(key="another" + KEY)], "black").decision == "failed"
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "text:analyze" in logged  # the SDK does log
    assert "400 InvalidRequestBody" in logged
    for told in (logged, str(caught.value), repr(asks), repr(asks._settings)):
        assert "secret wish" not in told
        assert KEY not in told
