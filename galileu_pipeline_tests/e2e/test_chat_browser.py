"""The chat as people use it: a real browser, a real model, and every click looked for in SQLite."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline_tests.e2e.browser import (
    PHONE,
    RunningChat,
    ask,
    needs_browser,
    stored,
)
from galileu_pipeline_tests.e2e.sandbox import Sandbox, artifacts_of, copy_of

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.e2e, needs_browser]

XSS = """Quem é <img src=x onerror="window.hurt=1"><script>window.hurt=1</script> você?"""


@pytest.fixture(scope="module")
def chat(demonstrated: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChat]:
    box = copy_of(demonstrated, tmp_path_factory.mktemp("chat"))
    (box.data / "feedback" / "feedback.db").unlink()
    (box.data / "champion.json").unlink(missing_ok=True)  # the base model serves
    running = RunningChat(box, "--max-new-tokens", "24")
    yield running
    running.stop()


def test_every_click_is_found_in_sqlite(page: Any, chat: RunningChat) -> None:
    page.goto(chat.url)
    playwright.expect(page.locator("#served")).to_contain_text("base_model-")
    playwright.expect(page.locator("#send-comment")).to_be_disabled()
    ask(page, "Quem é você?")
    page.locator("#chat [aria-label='Gostei']").last.click()
    stored(page)
    page.locator("#rating input[type=radio]").nth(3).click()
    stored(page)
    page.locator("#comment textarea").fill("Muito bom, mas curto.")
    page.locator("#send-comment").click()
    stored(page)
    playwright.expect(page.locator("#comment textarea")).to_have_value("")
    page.locator("#correction textarea").fill("Sou Galileu Galilei, de Pisa.")
    page.locator("#send-correction").click()
    stored(page)

    votes = chat.rows("SELECT * FROM feedback ORDER BY id")
    assert [(vote["thumbs_up"], vote["rating"], vote["comment"]) for vote in votes] == [
        (1, None, None),
        (1, 4, None),
        (1, 4, "Muito bom, mas curto."),
    ]
    assert {vote["query"] for vote in votes} == {"Quem é você?"}
    assert len({vote["user_id"] for vote in votes}) == 1
    assert all(vote["user_id"].startswith("person-") for vote in votes)
    assert json.loads(votes[0]["metadata"])["model"].startswith("base_model-")
    (correction,) = chat.rows("SELECT * FROM preference_pairs WHERE reason = 'correction'")
    assert correction["response_chosen"] == "Sou Galileu Galilei, de Pisa."
    assert correction["response_rejected"] == votes[0]["response"]


def test_side_by_side_shows_the_models_only_after_the_vote(page: Any, chat: RunningChat) -> None:
    page.goto(chat.url)
    page.get_by_role("tab", name="Lado a lado").click()
    for verdict, question in (("left", "O que é a Lua?"), ("tie", "O que é o Sol?"), ("both_bad", "O que é Vênus?")):
        page.locator("#compare-question textarea").fill(question)
        page.locator("#compare-ask").click()
        playwright.expect(page.locator(f"#vote-{verdict}")).to_be_enabled()
        answers = [page.locator(f"#{side}-answer textarea").input_value() for side in ("left", "right")]
        assert "ppo_model" not in page.content()
        page.locator(f"#vote-{verdict}").click()
        playwright.expect(page.locator("#revealed")).to_contain_text("ppo_model-")
        playwright.expect(page.locator(f"#vote-{verdict}")).to_be_disabled()
        stored(page)
        (vote,) = chat.rows(f"SELECT * FROM comparisons WHERE verdict = '{verdict}'")
        assert (vote["query"], vote["response_left"], vote["response_right"]) == (question, *answers)
        assert {vote["model_left"].split("-")[0], vote["model_right"].split("-")[0]} == {"base_model", "ppo_model"}
    (preference,) = chat.rows("SELECT * FROM preference_pairs WHERE query = 'O que é a Lua?'")
    (left,) = chat.rows("SELECT * FROM comparisons WHERE verdict = 'left'")
    assert (preference["response_chosen"], preference["response_rejected"]) == (
        left["response_left"],
        left["response_right"],
    )


def test_what_people_write_is_never_markup(page: Any, chat: RunningChat) -> None:
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    page.goto(chat.url)
    ask(page, XSS)
    playwright.expect(page.locator("#chat .user.message")).to_contain_text("<script>window.hurt=1</script>")
    assert page.locator("#chat .message img[src=x]").count() == 0
    page.locator("#comment textarea").fill(XSS)
    page.locator("#send-comment").click()
    stored(page)
    page.get_by_role("tab", name="Estatísticas").click()
    playwright.expect(page.locator("#summary")).to_contain_text("comentários")
    assert page.evaluate("window.hurt") is None
    assert hosts == {f"127.0.0.1:{chat.port}"}
    assert XSS in {vote["query"] for vote in chat.rows("SELECT query FROM feedback")}


def test_a_browser_in_english_on_a_phone(browser: Any, chat: RunningChat) -> None:
    context = browser.new_context(viewport=PHONE, locale="en-US")
    page = context.new_page()
    page.goto(chat.url)
    playwright.expect(page.locator("#send")).to_have_text("Send")
    playwright.expect(page.get_by_role("tab", name="Side by side")).to_be_visible()
    playwright.expect(page.locator("#rating input[type=radio]").first).to_be_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()


def test_uploads_other_hosts_and_the_list_of_calls_are_closed(chat: RunningChat) -> None:
    import urllib.error
    import urllib.request

    def status(path: str, **options: Any) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(chat.url + path, **options)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status("/") == 200
    assert status("/gradio_api/upload", data=b"x", method="POST") == 403
    assert status("/", headers={"Host": "evil.example"}) == 400
    with urllib.request.urlopen(chat.url + "/gradio_api/info") as answer:
        assert json.load(answer)["named_endpoints"] == {}


def test_with_a_login_nobody_else_comes_in(
    demonstrated: Sandbox, browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = copy_of(demonstrated, tmp_path_factory.mktemp("login"))
    running = RunningChat(box, GALILEU_CHAT_LOGIN="ana:uma senha longa")
    try:
        context = browser.new_context(locale="pt-BR")
        page = context.new_page()
        page.goto(running.url)
        assert page.locator("#question").count() == 0
        page.locator("input").first.fill("ana")
        page.locator("input[type=password]").fill("uma senha longa")
        page.get_by_role("button").last.click()
        playwright.expect(page.locator("#question")).to_be_visible()
        context.close()
    finally:
        running.stop()


def test_refusals_at_the_start(sandbox: Sandbox, demonstrated: Sandbox) -> None:
    outside = demonstrated.galileu("chat", "--host", "0.0.0.0")
    assert outside.returncode == 2
    assert "GALILEU_CHAT_LOGIN" in outside.stderr
    empty = sandbox.galileu("chat")
    assert empty.returncode == 1
    assert "`base_model` has not been materialized" in empty.stderr
    assert demonstrated.galileu("chat", "--model", "reward_model").returncode == 2


def test_it_follows_the_champion_and_back_without_a_restart(page: Any, chat: RunningChat) -> None:
    def said_by(asset: str) -> str:
        ask(page, "O que é a Lua?")
        playwright.expect(page.locator("#served")).to_contain_text(f"{asset}-")
        return str(page.locator("#chat .bot.message").last.inner_text())

    page.goto(chat.url)
    before = said_by("base_model")
    page.reload()
    assert chat.box.galileu("promote", "sft_model").returncode == 0
    promoted = said_by("sft_model")
    assert promoted != before
    page.reload()
    back = chat.box.galileu("rollback", "--reason", "um teste", "--json")
    assert json.loads(back.stdout)["id"] is None
    assert said_by("base_model") == before


@pytest.fixture(scope="module")
def trial(demonstrated: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChat]:
    """The base model serves; the PPO model, which people preferred side by side, answers half of them."""
    box = copy_of(demonstrated, tmp_path_factory.mktemp("trial"))
    (box.data / "champion.json").unlink(missing_ok=True)
    collector = people_of(box)
    base, ppo = (artifacts_of(box).current(asset).id for asset in ("base_model", "ppo_model"))
    for number in range(24):
        collector.add_comparison(
            f"Pergunta {number}?",
            f"Sim, {number}.",
            f"Não, {number}.",
            "both_bad" if number == 3 else "left" if number % 6 == 0 else "right",
            model_left=base,
            model_right=ppo,
            user_id=f"pessoa {number}",
        )
    refreshed = box.shell("dagster asset materialize --select raw_feedback,feedback_analytics")
    assert refreshed.returncode == 0, refreshed.stderr
    running = RunningChat(box, "--max-new-tokens", "4", "--canary", "50")
    yield running
    running.stop()


def people_of(box: Sandbox) -> FeedbackCollector:
    """What stores their votes."""
    return FeedbackCollector(
        box.data / "feedback" / "feedback.db", Pseudonyms(box.environment["GALILEU_PSEUDONYM_KEY"].encode())
    )


def test_the_statistics_show_the_models_by_strength(page: Any, trial: RunningChat) -> None:
    page.goto(trial.url)
    page.get_by_role("tab", name="Estatísticas").click()
    rows = page.locator("#leaderboard").get_by_role("row")
    playwright.expect(rows).to_have_count(3)  # with the header
    playwright.expect(rows.nth(1)).to_contain_text("ppo_model-")
    playwright.expect(rows.nth(2)).to_contain_text("base_model-")
    playwright.expect(page.locator("#summary")).to_contain_text("Em teste: ppo_model-")


def test_a_candidate_answers_its_share_of_the_people_until_they_dislike_it(browser: Any, trial: RunningChat) -> None:
    named: list[str] = []
    for _ in range(6):
        context = browser.new_context(locale="pt-BR")
        page = context.new_page()
        page.goto(trial.url)
        playwright.expect(page.locator("#served")).to_contain_text("Dois modelos")
        for question in ("Quem é você?", "O que é a Lua?"):
            ask(page, question)
            playwright.expect(page.locator("#served")).to_contain_text("Dois modelos")
            page.locator("#chat [aria-label='Gostei']").last.click()
            stored(page)
            playwright.expect(page.locator("#served")).to_contain_text("_model-")
            named.append(page.locator("#served").inner_text().split("·")[-1].strip())
        assert named[-1] == named[-2]  # the person stays with one model
        context.close()
    votes = trial.rows(
        "SELECT metadata FROM feedback WHERE json_extract(metadata, '$.app') = 'galileu chat' ORDER BY id"
    )
    assert [json.loads(vote["metadata"])["model"] for vote in votes] == named
    base, ppo = (artifacts_of(trial.box).current(asset).id for asset in ("base_model", "ppo_model"))
    assert set(named) <= {base, ppo}  # in which shares, test_canary.py looks at

    for number in range(160):  # more than outweigh those who liked it
        people_of(trial.box).add_feedback(
            f"Outra pergunta {number}?", "Hm.", thumbs_up=False, user_id=f"outra {number}", metadata={"model": ppo}
        )
    for _ in range(2):
        context = browser.new_context(locale="pt-BR")
        page = context.new_page()
        page.goto(trial.url)
        ask(page, "Quem é você?")
        playwright.expect(page.locator("#served")).to_contain_text(base)
        context.close()
