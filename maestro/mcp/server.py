"""maestro as an MCP server on standard input and output (C-4).

It holds nothing: runs are processes of their own, and whatever a tool tells is read from their files. So it may be
ended at any moment, and several may serve one repository. It ends with its standard input; an interrupt or a
termination ends it at once.
"""

from __future__ import annotations

import json
import logging
import signal
import traceback

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as Listed

from maestro import __version__
from maestro.errors import BadInput, MaestroError, error_object
from maestro.mcp.place import Answer, Place
from maestro.mcp.tools import TOOLS
from maestro.model.redaction import Redactor

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "maestro runs a backlog of coding tasks with many agents at once, each in a git workspace of its own, and lands "
    "the finished work, checked. Call `plan` to see what would run; `run` starts it and returns at once; call `wait` "
    "until timed_out is false; then `status` with the run_id says what landed, what did not and why."
)


def serve(place: Place) -> None:
    """Serve one client until it closes standard input."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a thread that waits for input would hold an orderly end up
    anyio.run(_serve, place)


async def _serve(place: Place) -> None:
    server = make_server(place)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def make_server(place: Place) -> Server:
    """The server with its tools, on no transport yet."""

    async def list_tools(_context: ServerRequestContext, _page: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listed())

    async def call_tool(_context: ServerRequestContext, asked: CallToolRequestParams) -> CallToolResult:
        return await called(place, asked)

    return Server(
        "maestro",
        version=__version__,
        title="maestro",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def listed() -> list[Listed]:
    """The tools as a client sees them."""
    return [
        Listed(
            name=tool.name,
            description=tool.description,
            input_schema=tool.schema,
            annotations=ToolAnnotations(read_only_hint=not tool.changes, destructive_hint=False, open_world_hint=False),
        )
        for tool in TOOLS.values()
    ]


async def called(place: Place, asked: CallToolRequestParams) -> CallToolResult:
    """One call; whatever goes wrong becomes its result, so that the model that called can do better."""
    tool = TOOLS.get(asked.name)
    try:
        if tool is None:
            raise BadInput(f"there is no tool {asked.name}", hint=f"tools: {', '.join(TOOLS)}")
        return _result(await tool.call(place, asked.arguments or {}), place.redactor)
    except MaestroError as error:
        return _refused(error.message, error.hint, place.redactor)
    except Exception as error:  # a bug met by one call is no reason to end the server
        log.error("the tool %s failed: %s", asked.name, place.redactor.mask(traceback.format_exc()))
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        told = f"maestro met a bug of its own ({what})"
        return _refused(told, "the traceback is in the server's standard error", place.redactor)


def _result(answer: Answer, redactor: Redactor) -> CallToolResult:
    warnings = (f"Warning: {redactor.mask(warning)}" for warning in answer.warnings)
    texts = [json.dumps(redactor.mask_tree(answer.value), default=str), *warnings]
    return CallToolResult(content=[TextContent(text=text) for text in texts], structured_content=json.loads(texts[0]))


def _refused(message: str, hint: str, redactor: Redactor) -> CallToolResult:
    error = redactor.mask_tree(error_object(message, hint))
    return CallToolResult(content=[TextContent(text=json.dumps(error))], structured_content=error, is_error=True)
