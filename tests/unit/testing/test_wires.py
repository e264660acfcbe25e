"""What every wire keeps to, and how each API's clients are answered."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from maestro.testing.model_server import ModelServer
from maestro.testing.wires.base import Call
from maestro.testing.wires.offered import in_words_of
from maestro.testing.wires.registry import WIRES, wire_of

Body = dict[str, Any]
STEPS = [{"write": {"path": "a b.txt", "content": "it's"}}, {"bash": "git commit"}, {"say": "bye"}]


def anthropic(prompt: str, answers: int, stream: bool) -> Body:
    asked: list[Body] = [{"role": "user", "content": prompt}]
    for _ in range(answers):
        asked.append({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]})
        asked.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]})
    return {"model": "m", "messages": asked, "stream": stream}


def responses(prompt: str, answers: int, stream: bool) -> Body:
    asked: list[Body] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]},
    ]
    for number in range(answers):
        asked.append({"type": "reasoning", "summary": []})
        asked.append({"type": "function_call", "call_id": f"call_a{number}_0", "name": "exec_command"})
        asked.append({"type": "function_call_output", "call_id": f"call_a{number}_0", "output": "ok"})
    offer = {"type": "function", "name": "exec_command", "parameters": {"required": ["cmd"], "properties": {"cmd": {}}}}
    return {"model": "m", "input": asked, "stream": stream, "tools": [offer, {"type": "web_search"}]}


def generate(prompt: str, answers: int, stream: bool) -> Body:
    asked: list[Body] = [{"role": "user", "parts": [{"text": prompt}]}]
    for _ in range(answers):
        asked.append({"role": "model", "parts": [{"functionCall": {"name": "write_file", "args": {}}}]})
        asked.append({"role": "user", "parts": [{"functionResponse": {"name": "write_file", "response": {}}}]})
    offers = [
        {"name": name, "parametersJsonSchema": {"type": "object", "required": ["file_path", "content"]}}
        for name in ("write_file", "run_shell_command")
    ]
    return {"contents": asked, "tools": [{"functionDeclarations": offers}]}


def chat(prompt: str, answers: int, stream: bool) -> Body:
    asked: list[Body] = [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": [{"type": "text", "text": prompt}]},
    ]
    for number in range(answers):
        function = {"name": "bash", "arguments": "{}"}
        asked.append(
            {"role": "assistant", "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]}
        )
        asked.append({"role": "tool", "tool_call_id": f"c{number}", "content": "ok"})
    offers = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("write", "bash")]
    return {"model": "m", "messages": asked, "stream": stream, "tools": offers}


class Door(NamedTuple):
    path: Callable[[bool], str]
    body: Callable[[str, int, bool], Body]
    key: Callable[[str], dict[str, str]]
    tools: tuple[str, str]
    """How the client's tools for writing a file and for running a command are named."""


DOORS = {
    "anthropic": Door(lambda _: "/v1/messages", anthropic, lambda key: {"x-api-key": key}, ("Write", "Bash")),
    "chat": Door(
        lambda _: "/v1/chat/completions", chat, lambda key: {"authorization": f"Bearer {key}"}, ("write", "bash")
    ),
    "responses": Door(
        lambda _: "/v1/responses",
        responses,
        lambda key: {"authorization": f"Bearer {key}"},
        ("exec_command", "exec_command"),
    ),
    "generate": Door(
        lambda stream: f"/v1beta/models/m:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
        generate,
        lambda key: {"x-goog-api-key": key},
        ("write_file", "run_shell_command"),
    ),
}


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def ask(
    server: ModelServer, door: Door, steps: object, answers: int = 0, *, stream: bool = False, key: str = "k"
) -> tuple[int, str]:
    prompt = f"do\n```maestro-script\n{json.dumps(steps)}\n```\nthen"
    body = json.dumps(door.body(prompt, answers, stream)).encode()
    request = urllib.request.Request(server.url + door.path(stream), body, door.key(key))
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_every_wire_has_a_door_here() -> None:
    assert {wire.name for wire in WIRES} == DOORS.keys()
    for name, door in DOORS.items():
        wire = wire_of(door.path(False).split("?")[0])
        assert wire is not None
        assert wire.name == name
    assert wire_of("/v2/other") is None


def test_the_step_is_the_number_of_answers_given(door: Door) -> None:
    with ModelServer() as server:
        said = [ask(server, door, STEPS, answers) for answers in range(4)]
        assert [status for status, _ in said] == [200] * 4
        for tool, (_, text) in zip(door.tools, said, strict=False):
            assert json.dumps(tool) in text
        assert "git commit" in said[1][1]
        assert '"bye"' in said[2][1]
        assert '"done"' in said[3][1]
        assert [(one.status, one.model, one.api_key) for one in server.requests] == [(200, "m", "k")] * 4


def test_the_stream_says_the_same_and_can_break_off_in_the_middle(door: Door) -> None:
    wire = wire_of(door.path(True).split("?")[0])
    assert wire is not None
    with ModelServer() as server:
        for answers, word in ((1, "git commit"), (2, "bye")):
            status, text = ask(server, door, STEPS, answers, stream=True)
            assert status == 200
            assert word in text
        for calls in ([], [Call("bash", {"command": "a"})]):
            whole = list(wire.stream(wire.answer(door.body("p", 0, True), "x", calls)))
            assert len(whole) > 2
            assert all(chunk.endswith((b"\n\n", b"\r\n\r\n")) for chunk in whole)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(server, door, [{"drop": True}, {"say": "x"}], stream=True)


def test_refusals_have_the_api_s_own_shape_and_are_counted(door: Door) -> None:
    with ModelServer(accepted_keys=("good",)) as server:
        status, text = ask(server, door, STEPS, key="bad")
        assert (status, server.requests[-1].status) == (401, 401)
        assert json.loads(text)["error"]["message"] == "invalid x-api-key"
        steps = [{"status": 429, "times": 2, "message": "slow down"}, {"say": "x"}]
        got = [ask(server, door, steps, key="good") for _ in range(3)]
        assert [status for status, _ in got] == [429, 429, 200]
        assert json.loads(got[0][1])["error"]["message"] == "slow down"
        own = [{"status": 429, "body": {"error": {"resets_at": 7}}}]
        assert json.loads(ask(server, door, own, key="good")[1]) == {"error": {"resets_at": 7}}


def test_a_key_may_stand_in_the_query() -> None:
    door = DOORS["generate"]._replace(
        path=lambda _: "/v1beta/models/m:generateContent?alt=x&key=good", key=lambda _: {}
    )
    with ModelServer(accepted_keys=("good",)) as server:
        assert ask(server, door, STEPS)[0] == 200
        assert server.requests[0].api_key == "good"


def test_gemini_counts_tokens_beside_the_script() -> None:
    door = DOORS["generate"]._replace(path=lambda _: "/v1beta/models/m:countTokens")
    with ModelServer() as server:
        assert json.loads(ask(server, door, STEPS)[1])["totalTokens"] > 10
        assert server.requests == []


def test_parallel_calls_of_one_response_are_one_answer_even_with_outputs_between() -> None:
    wire = wire_of("/v1/responses")
    assert wire is not None
    one = wire.answer({}, "", [Call("bash", {"command": "a"}), Call("bash", {"command": "b"})])
    given: list[Body] = [{"role": "user", "content": "p"}]
    for call in one["output"]:
        given += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": ""}]
    assert [turn.role for turn in wire.turns({"input": given})].count("assistant") == 1
    two = wire.answer({}, "", [Call("bash", {"command": "c"})])
    given += two["output"]
    assert [turn.role for turn in wire.turns({"input": given})].count("assistant") == 2


def test_what_a_tool_requires_beyond_the_command_is_filled_in() -> None:
    schema = {
        "required": ["command", "description", "level", "deep", "list", "count", "sure"],
        "properties": {
            "command": {"type": "string"},
            "description": {"type": "string"},
            "level": {"enum": ["low", "high"]},
            "deep": {"type": "object", "required": ["x"], "properties": {"x": {"type": "boolean"}}},
            "list": {"type": "array"},
            "count": {"type": "integer", "minimum": 5},
            "sure": {"type": "BOOLEAN"},
        },
    }
    name, given = in_words_of(Call("bash", {"command": "ls"}), {"bash": schema})
    assert name == "bash"
    assert given == {
        "command": "ls",
        "description": "scripted",
        "level": "low",
        "deep": {"x": False},
        "list": [],
        "count": 5,
        "sure": False,
    }


def test_a_client_without_a_tool_to_write_files_gets_a_command_that_does() -> None:
    name, given = in_words_of(Call("write", {"path": "d/a b.txt", "content": "it's"}), {"exec_command": {}})
    assert name == "exec_command"
    assert given["cmd"].endswith("""printf '%s' 'it'"'"'s' > 'd/a b.txt'""")
    assert in_words_of(Call("odd", {"x": 1}), {}) == ("odd", {"x": 1})


def test_a_client_that_takes_programs_gets_programs() -> None:
    """codex with its newest models: the tools come as an item, in a folder, and only `exec` is called."""
    wire = wire_of("/v1/responses")
    assert wire is not None
    offer = {"type": "additional_tools", "role": "developer", "tools": [
        {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    ]}  # fmt: skip
    body: Body = {"input": [offer, {"role": "user", "content": "p"}]}
    answer = wire.answer(body, "", [Call("bash", {"command": 'echo "x"'}), Call("odd", {"x": 1})])
    program, call = answer["output"]
    assert (program["type"], program["name"]) == ("custom_tool_call", "exec")
    assert program["input"] == 'text(await tools.exec_command({"cmd": "echo \\"x\\""}));'
    assert (call["type"], call["name"]) == ("function_call", "odd")
    assert b"custom_tool_call_input.done" in b"".join(wire.stream(answer))
    given = [*body["input"], program, call, {"type": "custom_tool_call_output", "call_id": program["call_id"]}]
    assert [turn.role for turn in wire.turns({"input": given})] == ["user", "assistant", "user"]


def test_tools_of_a_server_are_called_in_its_folder() -> None:
    wire = wire_of("/v1/responses")
    assert wire is not None
    body: Body = {"tools": [{"type": "namespace", "name": "mcp__notes", "tools": [{"name": "post"}]}]}
    (call,) = wire.answer(body, "", [Call("mcp__notes__post", {"x": 1})])["output"]
    assert (call["namespace"], call["name"]) == ("mcp__notes", "post")
