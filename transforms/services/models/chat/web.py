"""What our servers of chat completions share beside the wire format: errors as JSON, and replies that stream."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gog.transforms.services.models.chat.serving import Asked, Json, error_body, streamed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of the server itself in OpenAI's form: no such path, wrong method, and what is a bug of ours."""
    try:
        return await handler(request)
    except web.RequestPayloadError:
        said = "the request's body is not what its headers say"
        return web.json_response(error_body(said, "invalid_request_error"), status=400)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        said = f"{error.reason}: {request.method} {request.path}; chat is at POST /v1/chat/completions"
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return web.json_response(error_body(said, "invalid_request_error"), status=error.status, headers=allowed)


async def deliver(request: web.Request, reply: Json, asked: Asked) -> web.StreamResponse:
    """A reply as it was asked for: in one piece, or as a stream of events."""
    if not asked.stream:
        return web.json_response(reply)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for event in streamed(reply, usage=asked.stream_usage):
        await response.write(event)
    await response.write_eof()
    return response
