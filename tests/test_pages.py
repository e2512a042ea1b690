from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.builders_pages import LOUD_CALL, NEW_CALL, OTHER_CALL, Site, loud, raised, said, site, visitor

pytestmark = pytest.mark.timeout(90)
# Not only today: the chats of the builders began four minutes ago, which may be yesterday.
LOG = "/interceptions?since=all"


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def test_a_wrong_password_is_said_and_a_right_one_leads_back(chromium: str, floor: Site) -> None:
    async with visitor(chromium) as visit:
        page = visit.page
        await page.goto(floor.base + "/interceptions?review=pending")
        await page.fill("[name=login]", "zhoumin")
        await page.fill("[name=password]", "wrong password")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").first).to_have_text("帐号或密码不对，请再输一次。")
        await visit.look("login-zh")
        await visit.log_in(floor.base, "zhoumin", "/interceptions?review=pending")
        await expect(page).to_have_url(floor.base + "/interceptions?since=today&review=pending")
        await page.get_by_text("周敏").click()
        await page.get_by_role("button", name="退出登录").click()
        await expect(page.locator("[name=login]")).to_be_visible()


@pytest.mark.parametrize(("locale", "name"), [("zh-CN", "音量升高"), ("en-US", "Raised level")])
async def test_an_alert_is_pushed_to_the_floor_and_owned_by_key(
    chromium: str, floor: Site, locale: str, name: str
) -> None:
    floor.hear(LOUD_CALL, range(1, 61), loud)
    floor.hear(OTHER_CALL, range(1, 61), loud)
    async with visitor(chromium, locale) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        card = page.locator(".alert", has_text=name)
        row = page.locator("[data-agent='a-1']")
        await expect(row.locator(".strip canvas")).to_have_count(3)
        await expect(card).to_have_count(0)
        await expect(page.locator(".freshness")).to_have_attribute("data-state", "live")

        # Another team's comes first and would be here by the time the own one is.
        await floor.raise_alert(raised(OTHER_CALL, time.time(), rule_id="turns.interruptions"))
        await floor.raise_alert(raised(LOUD_CALL, time.time()))
        await expect(card).to_have_count(1)
        await expect(card).to_contain_text("+11.4 dB")
        # The level is past its limit: an arrow and a colour, not a colour alone.
        await expect(row.locator(".measure b.critical")).to_have_text("▲+11.4")
        # Whoever needs somebody stands on top.
        await expect(page.locator(".rows .agent-row").first).to_have_attribute("data-agent", "a-1")

        await page.keyboard.press("j")
        await expect(card).to_have_attribute("aria-current", "true")
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile[data-metric='volume.over_baseline_db']")).to_contain_text("+11.4")
        await expect(page.locator(".tracks rect.agent.beyond").first).to_be_visible()
        await visit.look(f"floor-{locale[:2]}")
        await page.keyboard.press("a")
        await expect(page.locator("#tab-mine")).to_contain_text("1")
        await page.keyboard.press("r")
        await page.keyboard.type("spoke to the agent")
        await page.keyboard.press("Enter")
        await page.locator("#tab-all").click()
        await expect(card).to_contain_text("spoke to the agent")
        # Another team's call, chat and alert are nowhere.
        assert "Nobody's" not in await page.locator("body").inner_text()


async def test_strips_move_by_pushed_scores_and_say_why_they_are_empty(chromium: str, floor: Site) -> None:
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        row = page.locator("[data-agent='a-1']")
        await expect(row.locator(".measure").first).to_have_text("攒够 3 秒语音后显示")
        floor.hear(LOUD_CALL, range(1, 20), loud)
        await expect(row.locator(".strip canvas")).to_have_count(3)
        await expect(row.locator(".measure b").first).to_have_text("229")
        # A call that nobody told the page of: its first score makes the page ask who it is.
        await floor.start_calls([NEW_CALL], 0)
        floor.hear(NEW_CALL, range(1, 3), loud)
        await expect(page.locator("[data-agent='a-2'] .strip canvas")).to_have_count(3, timeout=10_000)
        # No score for longer than five seconds: said in words, and grey.
        await expect(row).to_contain_text("无新数据", timeout=10_000)
        await expect(row).to_have_class("agent-row stale")


async def test_of_five_hundred_agents_only_those_in_sight_are_in_the_page(chromium: str, floor: Site) -> None:
    calls = [
        replace(LOUD_CALL, conversation_id=f"m-{n}", agent_id=f"b-{n}", agent_name=f"Agent {n:03}") for n in range(500)
    ]
    await floor.start_calls(calls, 60)
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        await expect(page.locator("#wall-title")).to_have_text("坐席 503 人")
        for call in calls:
            floor.hear(call, range(1, 4), loud)
        rows = page.locator(".rows .agent-row")
        assert await rows.count() < 60
        await page.locator(".wall .rows").evaluate("rows => rows.scrollTop = rows.scrollHeight")
        last = page.locator("[data-agent='b-499']")
        await expect(last).to_be_visible()
        await expect(last.locator(".strip canvas")).to_have_count(3)
        assert await rows.count() < 60


async def test_nothing_moves_under_the_pointer(chromium: str, floor: Site) -> None:
    await floor.raise_alert(raised(LOUD_CALL, time.time() - 5))
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        cards = page.locator(".alert")
        await expect(cards.first).to_contain_text("音量升高")
        before = await cards.count()
        await cards.first.hover()
        top = await cards.first.get_attribute("data-alert")
        await floor.raise_alert(raised(LOUD_CALL, time.time(), rule_id="turns.interruptions"))
        await expect(page.get_by_role("button", name="1 条新告警")).to_be_visible()
        assert await cards.first.get_attribute("data-alert") == top
        await page.mouse.move(700, 700)
        await expect(cards).to_have_count(before + 1)
        assert await cards.first.get_attribute("data-alert") != top


async def test_the_page_says_when_it_is_cut_off_and_gets_what_it_missed(chromium: str, floor: Site) -> None:
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        freshness = page.locator(".freshness")
        await expect(freshness).to_have_attribute("data-state", "live")
        asked: list[str] = []
        page.on("websocket", lambda socket: asked.append(socket.url))
        await page.context.set_offline(True)
        # An established connection survives the switch in Chromium; the server ends it, as a restart would.
        floor.cut_off()
        await expect(freshness).to_have_attribute("data-state", "lost")
        await expect(freshness).to_contain_text(re.compile(r"重连中 \d+ 秒"))
        await floor.raise_alert(raised(LOUD_CALL, time.time()))
        await asyncio.sleep(0.5)
        visit.problems.clear()  # what the console says about the network that was switched off
        await page.context.set_offline(False)
        await expect(freshness).to_have_attribute("data-state", "live", timeout=15_000)
        await expect(page.locator(".alert", has_text="音量升高")).to_have_count(1)
        assert "after=" in asked[-1]
        visit.problems[:] = [problem for problem in visit.problems if "ERR_INTERNET_DISCONNECTED" not in problem]


@pytest.mark.parametrize(
    ("locale", "blocked"), [("zh-CN", "已拦截 · 客户未收到"), ("en-US", "Blocked, never delivered")]
)
async def test_the_blocked_sentence_stands_in_its_place_and_is_reviewed_by_key(
    chromium: str, floor: Site, locale: str, blocked: str
) -> None:
    async with visitor(chromium, locale) as visit:
        page = visit.page
        await visit.log_in(floor.base, "xujing", LOG)
        lines = page.locator("[data-row]")
        await expect(lines).to_have_count(4)
        await expect(page.locator("[data-figure=intercepted] b")).to_have_text("3")
        line = lines.filter(has_text="看不懂字吗")
        await line.click()
        await expect(line.locator("mark")).to_have_text(["傻瓜", "看不懂字吗"])

        bubbles = page.locator(".bubbles li")
        await expect(bubbles).to_have_count(8)
        texts = await bubbles.locator(".bubble").all_inner_texts()
        assert texts[2:6] == ["提交两周了还没到账", "你是不是傻瓜啊，看不懂字吗", "傻。瓜", "那你就是个骗 子"]
        place = bubbles.nth(3)
        await expect(place).to_contain_text(blocked)
        await expect(place).to_have_attribute("data-outcome", "blocked")
        assert await place.locator(".bubble").evaluate("bubble => getComputedStyle(bubble).borderTopStyle") == "dashed"
        await expect(bubbles.nth(4).locator(".chain")).to_contain_text("2")
        await expect(bubbles.nth(5)).to_have_attribute("data-outcome", "delivered")
        # Personal numbers are masked, and the rest of the sentence stands as it was.
        assert texts[7].startswith("抱歉，我马上帮您查") and "13812347712" not in texts[7]
        await visit.look(f"interceptions-{locale[:2]}")

        await page.keyboard.press("x")
        await expect(line.locator(".review.upheld")).to_be_visible()
        await page.keyboard.press("k")
        await expect(line).to_have_attribute("aria-selected", "false")
        await page.keyboard.press("j")
        await page.keyboard.press("r")
        await page.keyboard.type("quoted")
        await page.keyboard.press("Enter")
        await expect(line.locator(".review.mistaken")).to_be_visible()
        await expect(page.locator(".decided")).to_contain_text("quoted")


async def test_the_log_is_searched_filtered_exported_and_grows_by_itself(chromium: str, floor: Site) -> None:
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "xujing", LOG)
        lines = page.locator("[data-row]")
        await expect(lines).to_have_count(4)
        await page.fill("input[type=search]", "傻瓜")
        await expect(lines).to_have_count(1)
        await page.fill("input[type=search]", "")
        await expect(lines).to_have_count(4)
        await page.select_option("[data-filter=outcome]", "delivered")
        await expect(lines).to_have_count(1)
        await expect(lines).to_contain_text("已送达")
        async with page.expect_download() as saved:
            await page.get_by_role("link", name="导出 CSV").click()
        rows = (await (await saved.value).path()).read_text(encoding="utf-8-sig").splitlines()
        assert len(rows) == 2 and "骗 子" in rows[1]
        await page.get_by_role("button", name="清除筛选").click()
        await expect(lines).to_have_count(4)
        await page.mouse.move(700, 20)
        await floor.write(said(time.time(), 9, "agent", "你这个笨蛋傻瓜"))
        await expect(lines).to_have_count(5)
        await expect(lines.first).to_contain_text("笨蛋")


async def test_what_one_may_not_do_is_not_offered(chromium: str, floor: Site) -> None:
    await floor.raise_alert(raised(LOUD_CALL, time.time()))
    async with visitor(chromium) as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin", LOG)
        await expect(page.locator("[data-row]")).to_have_count(4)
        await page.locator("[data-row]").first.click()
        await expect(page.locator(".found")).to_be_visible()
        await expect(page.get_by_role("button", name="属实")).to_have_count(0)
        await expect(page.get_by_role("link", name="导出 CSV")).to_have_count(0)
        await page.keyboard.press("x")
        await page.get_by_text("周敏").click()
        await page.get_by_role("button", name="退出登录").click()
        await visit.log_in(floor.base, "xujing")
        await expect(page.locator(".alert", has_text="音量升高")).to_have_count(1)
        await page.keyboard.press("j")
        await page.keyboard.press("a")
        await expect(page.locator(".alert[aria-current]")).to_have_count(1)
        await expect(page.get_by_role("button", name="接手")).to_have_count(0)
        await expect(page.locator("#tab-mine")).to_contain_text("0")


async def test_the_language_is_switched_and_kept(chromium: str, floor: Site) -> None:
    async with visitor(chromium, "en-US") as visit:
        page = visit.page
        await visit.log_in(floor.base, "zhoumin")
        await expect(page.get_by_role("link", name="Interceptions")).to_be_visible()
        await page.get_by_role("button", name="中", exact=True).click()
        await expect(page.get_by_role("link", name="拦截日志")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("link", name="拦截日志")).to_be_visible()
        assert await page.locator("html").get_attribute("lang") == "zh-CN"
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("接手告警")
        await visit.look("help-zh")
