"""The how-to of session types works as it is written."""

import re
from pathlib import Path

from nexus.schemas.session import NewSession
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from nexus.sessions.suite import check_type
from tests.sessions.servers import echo_kernel

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "session-types.md"


async def test_the_type_of_the_how_to_keeps_what_it_declares(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    found: dict = {}
    exec(code, found)  # the page's own code
    async with echo_kernel(tmp_path) as kernel:
        kernel.sessions.types.add(found["COUNTER"])
        kernel.sessions.drivers.add("counter", found["Counter"])
        client = SessionClient(LocalTransport(kernel.sessions))
        await check_type(client, found["COUNTER"], NewSession(type="counter", options={"step": 2}))
