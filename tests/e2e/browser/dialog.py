"""The dialog of a flow, as the frontend shows it: what a user reads in it, fills in and presses."""

import re

from playwright.async_api import Locator, Page

ALONE = "home-assistant-main { visibility: hidden !important }"
"""A style for pictures in which nothing shows through behind the dialog."""


class Dialog:
    """The dialog that is open, or opens soon. Each method waits for what it needs."""

    def __init__(self, page: Page) -> None:
        self.locator = page.locator("dialog-data-entry-flow")
        self.window = self.locator.get_by_role("dialog").first
        """What is drawn of it."""

    def field(self, label: str) -> Locator:
        """Return the field that begins with this label; its explanation may name others."""
        begins = re.compile(rf"^\s*{re.escape(label)}")
        fields = self.locator.locator("ha-selector-text, ha-selector-number").filter(has_text=begins)
        return fields.locator("input, textarea")

    async def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        await self.field(label).fill(text)

    async def select(self, label: str, option: str) -> None:
        """Choose from a list."""
        await self.locator.locator("ha-selector-select").filter(has_text=label).click()
        await self.choose(option)

    async def tick(self, label: str) -> None:
        """Switch on what can be on or off."""
        await self.locator.locator("ha-selector-boolean").filter(has_text=label).locator("ha-switch").click()

    async def press(self, button: str) -> None:
        """Press one of the buttons at the bottom."""
        await self.locator.get_by_role("button", name=button, exact=True).last.click()

    async def choose(self, option: str) -> None:
        """Choose one of those that a menu or a list offers."""
        await self.locator.get_by_text(option, exact=True).last.click()

    async def end(self, button: str) -> None:
        """Press the button that closes it."""
        await self.press(button)
        await self.window.wait_for(state="hidden")

    async def close(self) -> None:
        """Leave it as it is, by the cross at the top."""
        await self.locator.get_by_role("button", name="Close", exact=True).first.click()
        await self.window.wait_for(state="hidden")

    async def says(self, words: str) -> None:
        """Wait for words."""
        await self.locator.get_by_text(words).first.wait_for()

    async def table(self) -> dict[str, str]:
        """Return the table that the dialog shows: first column to second."""
        await self.locator.locator("table").wait_for()
        rows = self.locator.locator("tbody tr")
        cells = [await row.locator("td").all_inner_texts() for row in await rows.all()]
        return {name.strip(): value.strip() for name, value in cells}
