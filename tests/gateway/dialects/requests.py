"""Requests of each client's dialect, and what each upstream is asked instead."""

from typing import Any

from steelyard.gateway.dialects import CHAT, MESSAGES, RESPONSES

Json = dict[str, Any]

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells the weather", "parameters": SCHEMA}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
HI = [{"role": "user", "content": "hi"}]


def _chat(**more: Any) -> Json:
    return {"model": "m", "messages": HI, **more}


def _messages(**more: Any) -> Json:
    return {"model": "m", "max_tokens": 4096, "messages": HI, **more}


def _responses(**more: Any) -> Json:
    return {"model": "m", "input": "hi", **more}


# name -> the client's dialect and body, the upstream's dialect and body
REQUESTS: dict[str, tuple[str, Json, str, Json]] = {
    "the least": (CHAT, _chat(), MESSAGES, _messages()),
    "nulls say nothing": (CHAT, _chat(temperature=None, tools=None, stop=None, n=None), MESSAGES, _messages()),
    "what is off anyhow": (
        CHAT,
        _chat(n=1, store=False, logprobs=False, frequency_penalty=0, presence_penalty=0.0, logit_bias={}),
        MESSAGES,
        _messages(),
    ),
    "settings": (
        CHAT,
        _chat(temperature=0.5, top_p=0.9, top_k=40, max_tokens=9, stop="END", user="u1", service_tier="default"),
        MESSAGES,
        {
            **_messages(temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], service_tier="standard_only"),
            "max_tokens": 9,
            "metadata": {"user_id": "u1"},
        },
    ),
    "a stream": (
        CHAT,
        _chat(stream=True, stream_options={"include_usage": True}, max_completion_tokens=5),
        MESSAGES,
        {**_messages(stream=True), "max_tokens": 5},
    ),
    "instructions": (
        CHAT,
        _chat(messages=[{"role": "developer", "content": "A"}, {"role": "system", "content": "B"}, *HI]),
        MESSAGES,
        _messages(system=[{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]),
    ),
    "turns of one side": (
        CHAT,
        _chat(
            messages=[
                {"role": "user", "content": "a"},
                {"role": "user", "content": "b"},
                {"role": "assistant", "content": ""},
                {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"},
            ]
        ),
        MESSAGES,
        _messages(
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"},
            ]
        ),
    ),
    "pictures and files": (
        CHAT,
        _chat(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "auto"}},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
                        {
                            "type": "file",
                            "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
                        },
                    ],
                }
            ]
        ),
        MESSAGES,
        _messages(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}},
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                            "title": "a.pdf",
                        },
                    ],
                }
            ]
        ),
    ),
    "tools": (
        CHAT,
        _chat(
            messages=[
                *HI,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [CALL, {**CALL, "id": "functions.weather:1"}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
                {"role": "tool", "tool_call_id": "functions.weather:1", "content": [{"type": "text", "text": "rain"}]},
                {"role": "user", "content": "and?"},
            ],
            tools=[{"type": "function", "function": {**FUNCTION, "strict": True}}],
            tool_choice="required",
            parallel_tool_calls=False,
        ),
        MESSAGES,
        _messages(
            messages=[
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Köln"}},
                        {"type": "tool_use", "id": "functions_weather_1", "name": "weather", "input": {"city": "Köln"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": "sun"},
                        {"type": "tool_result", "tool_use_id": "functions_weather_1", "content": "rain"},
                        {"type": "text", "text": "and?"},
                    ],
                },
            ],
            tools=[
                {"name": "weather", "description": "Tells the weather", "input_schema": SCHEMA, "strict": True},
            ],
            tool_choice={"type": "any", "disable_parallel_tool_use": True},
        ),
    ),
    "a tool by name": (
        CHAT,
        _chat(
            tools=[{"type": "function", "function": {"name": "now"}}],
            tool_choice={"type": "function", "function": {"name": "now"}},
        ),
        MESSAGES,
        _messages(
            tools=[{"name": "now", "input_schema": {"type": "object", "properties": {}}}],
            tool_choice={"type": "tool", "name": "now"},
        ),
    ),
    "allowed tools": (
        CHAT,
        _chat(
            tools=[{"type": "function", "function": FUNCTION}, {"type": "function", "function": {"name": "now"}}],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "now"}}]},
            },
        ),
        MESSAGES,
        _messages(
            tools=[{"name": "now", "input_schema": {"type": "object", "properties": {}}}], tool_choice={"type": "auto"}
        ),
    ),
    "a schema": (
        CHAT,
        _chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": SCHEMA, "description": "Where", "strict": True},
            }
        ),
        MESSAGES,
        _messages(output_config={"format": {"type": "json_schema", "schema": {**SCHEMA, "description": "Where"}}}),
    ),
    "efforts": (
        CHAT,
        _chat(reasoning_effort="xhigh"),
        MESSAGES,
        _messages(thinking={"type": "adaptive"}, output_config={"effort": "xhigh"}),
    ),
    "no effort": (CHAT, _chat(reasoning_effort="none"), MESSAGES, _messages(thinking={"type": "disabled"})),
    "efforts of older models": (
        CHAT,
        {**_chat(reasoning_effort="medium"), "model": "claude-sonnet-4-5-20250929"},
        MESSAGES,
        {
            **_messages(thinking={"type": "enabled", "budget_tokens": 8192}),
            "model": "claude-sonnet-4-5-20250929",
            "max_tokens": 8192 + 4096,
        },
    ),
    "thoughts that come back": (
        CHAT,
        _chat(
            messages=[
                *HI,
                {
                    "role": "assistant",
                    "content": "ho",
                    "refusal": None,
                    "reasoning_content": "Hm.",
                    "thinking_blocks": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                    ],
                },
                *HI,
            ]
        ),
        MESSAGES,
        _messages(
            messages=[
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                        {"type": "text", "text": "ho"},
                    ],
                },
                {"role": "user", "content": "hi"},
            ]
        ),
    ),
    "thoughts that nobody signed": (
        CHAT,
        _chat(messages=[*HI, {"role": "assistant", "content": "ho", "reasoning_content": "Hm."}, *HI]),
        MESSAGES,
        _messages(messages=[*HI, {"role": "assistant", "content": "ho"}, *HI]),
    ),
    "messages: the least": (MESSAGES, _messages(), CHAT, _chat(max_tokens=4096)),
    "messages: newer models of OpenAI": (
        MESSAGES,
        {**_messages(), "model": "gpt-5.1"},
        CHAT,
        {**_chat(max_completion_tokens=4096), "model": "gpt-5.1"},
    ),
    "messages: settings": (
        MESSAGES,
        _messages(
            system=[
                {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "B"},
            ],
            temperature=1,
            top_k=5,
            stop_sequences=["END"],
            metadata={"user_id": "u1"},
            service_tier="standard_only",
            stream=True,
            speed="standard",
        ),
        CHAT,
        {
            "model": "m",
            "messages": [{"role": "system", "content": "A\n\nB"}, *HI],
            "max_tokens": 4096,
            "temperature": 1,
            "top_k": 5,
            "stop": ["END"],
            "user": "u1",
            "service_tier": "default",
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "messages: tools": (
        MESSAGES,
        _messages(
            messages=[
                *HI,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
                        {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_1",
                            "content": [
                                {"type": "text", "text": "sun"},
                                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                            ],
                        },
                        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no city", "is_error": True},
                        {"type": "text", "text": "and?"},
                    ],
                },
            ],
            tools=[{"type": "custom", "name": "weather", "description": "Tells the weather", "input_schema": SCHEMA}],
            tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        CHAT,
        _chat(
            max_tokens=4096,
            messages=[
                *HI,
                {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {**CALL, "id": "toolu_1"},
                        {"id": "toolu_2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "toolu_1", "content": "sun"},
                {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: no city"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What the tool call toolu_1 has shown:"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        {"type": "text", "text": "and?"},
                    ],
                },
            ],
            tools=[{"type": "function", "function": FUNCTION}],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            parallel_tool_calls=False,
        ),
    ),
    "messages: files": (
        MESSAGES,
        _messages(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "title": "a.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        },
                        {
                            "type": "document",
                            "title": "Notes",
                            "source": {"type": "text", "media_type": "text/plain", "data": "Buy milk"},
                        },
                    ],
                }
            ]
        ),
        CHAT,
        _chat(
            max_tokens=4096,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "file",
                            "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
                        },
                        {"type": "text", "text": "Notes\n\nBuy milk"},
                    ],
                }
            ],
        ),
    ),
    "messages: thinking by budget": (
        MESSAGES,
        {**_messages(thinking={"type": "enabled", "budget_tokens": 8000}), "max_tokens": 16000},
        CHAT,
        _chat(max_tokens=16000, reasoning_effort="medium"),
    ),
    "messages: a schema": (
        MESSAGES,
        _messages(
            thinking={"type": "adaptive"},
            output_config={"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        ),
        CHAT,
        _chat(
            max_tokens=4096,
            reasoning_effort="low",
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        ),
    ),
    "messages: instructions in the middle": (
        MESSAGES,
        _messages(messages=[*HI, {"role": "system", "content": "be kind"}]),
        CHAT,
        _chat(max_tokens=4096, messages=[*HI, {"role": "system", "content": "be kind"}]),
    ),
    "responses: the least": (RESPONSES, _responses(), CHAT, _chat()),
    "responses: the least, for messages": (RESPONSES, _responses(), MESSAGES, _messages()),
    "responses: settings": (
        RESPONSES,
        _responses(
            instructions="be kind",
            temperature=1.5,
            max_output_tokens=7,
            reasoning={"effort": "low", "summary": "auto"},
            text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}},
            include=["reasoning.encrypted_content"],
            metadata={"a": "b"},
            store=False,
            truncation="disabled",
            stream=True,
        ),
        CHAT,
        _chat(
            messages=[{"role": "system", "content": "be kind"}, *HI],
            temperature=1.5,
            max_tokens=7,
            reasoning_effort="low",
            response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}},
            stream=True,
            stream_options={"include_usage": True},
        ),
    ),
    "responses: reasoning for messages": (
        RESPONSES,
        _responses(reasoning={"effort": "high", "summary": "detailed"}),
        MESSAGES,
        _messages(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "high"}),
    ),
    "responses: items": (
        RESPONSES,
        _responses(
            input=[
                {"role": "developer", "content": "be kind"},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "hi"},
                        {"type": "input_image", "image_url": "https://example.com/a.jpg", "detail": "auto"},
                    ],
                },
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "Hm."}],
                    "encrypted_content": "steelyard.signature:c2ln",
                },
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
                },
                {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Köln"}'},
                {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": '{"city":"Köln"}'},
                {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
                {
                    "type": "function_call_output",
                    "call_id": "call_2",
                    "output": [{"type": "input_text", "text": "rain"}],
                },
            ],
            tools=[{"type": "function", "strict": None, **FUNCTION}],
            tool_choice={"type": "function", "name": "weather"},
            parallel_tool_calls=True,
        ),
        CHAT,
        _chat(
            messages=[
                {"role": "system", "content": "be kind"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Hm.",
                    "tool_calls": [CALL, {**CALL, "id": "call_2"}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
                {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
            ],
            tools=[{"type": "function", "function": FUNCTION}],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            parallel_tool_calls=True,
        ),
    ),
    "responses: items for messages": (
        RESPONSES,
        _responses(
            input=[
                {"role": "user", "content": "hi"},
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "Hm."}],
                    "encrypted_content": "steelyard.signature:c2ln",
                },
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "steelyard.sealed:ZGF0YQ=="},
                {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "of another maker"},
                {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Köln"}'},
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
                },
            ],
            tools=[{"type": "function", "strict": True, **FUNCTION}],
        ),
        MESSAGES,
        _messages(
            messages=[
                *HI,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Köln"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_1",
                            "content": [
                                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
                            ],
                        }
                    ],
                },
            ],
            tools=[{"name": "weather", "description": "Tells the weather", "input_schema": SCHEMA, "strict": True}],
        ),
    ),
}
