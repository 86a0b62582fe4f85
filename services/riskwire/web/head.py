"""Answers HEAD as GET without a body, for every route; the routes themselves know GET only."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def call_for_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Calls the app as for GET, and sends the head of its answer only.

    A live stream ends when its client disconnects. So the app receives a disconnect once its head has been sent.
    """
    head_sent = False

    async def receive_until_head() -> Message:
        return {"type": "http.disconnect"} if head_sent else await receive()

    async def send_head(message: Message) -> None:
        nonlocal head_sent
        if message["type"] == "http.response.start" and not head_sent:
            head_sent = True
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    await app({**scope, "method": "GET"}, receive_until_head, send_head)
