"""What each key of a scenario means, in one sentence: an editor shows it, and the reference is made of it.

Text alone, by block and key. `schema` puts it into the JSON Schema; nothing else reads it.
"""

from __future__ import annotations

__all__ = ["EXPLAINED"]

_AFTER = "How long after the request, with a unit: 120ms, 1.5s; may be a template."
_ROLES = "The roles that it is for, one or several; without, for everybody."
_EVENT = {
    "after": _AFTER,
    "channel": "The channel of the notification; may be a template.",
    "data": "The notification's data.",
    "ext": "The message's ext field.",
    "disconnect": "true ends the CometD session in place of a notification.",
    "batch": "Notifications that are due at once and share this name are delivered together.",
    "count": "How often it is sent.",
    "gap": "The time between two of count.",
}
_BODY = {
    "body": "A JSON body.",
    "text": "A body that isn't JSON, as text.",
    "base64": "A body that isn't text, in Base64.",
}
_PUBLISHED = {
    "successful": "Whether the publish succeeded; true if left out.",
    "error": "The Bayeux error, such as 403::denied.",
    "data": "The data of the reply.",
    "ext": "The ext field of the reply.",
}

EXPLAINED: dict[str, dict[str, str]] = {
    "ScenarioFile": {
        "cometreel": "The version of the format; always 1.",
        "title": "What the scenario plays, in a line.",
        "source": "Where it comes from.",
        "bayeux": "How the CometD server behaves.",
        "session": "The HTTP session.",
        "correlation": "How a notification finds its request: the name of a profile, or one written here.",
        "ignore": "What verification leaves out: JSON Pointers into reply bodies and data, * for every member.",
        "settings": "Defaults of the replay's options.",
        "roles": "The recorded sessions, by name, where an answer depends on who asks.",
        "exchanges": "Requests, their replies, and the notifications that answer them.",
        "timeline": "Notifications that nobody asked for.",
        "faults": "What goes wrong, and when.",
    },
    "SourceBlock": {
        "recorded": "When it was recorded; the scenario's clock begins here.",
        "upstream": "What was recorded, in words.",
    },
    "AdviceBlock": {
        "timeout": "How long a poll is held, in milliseconds.",
        "interval": "How long a client waits between two polls, in milliseconds.",
    },
    "BayeuxBlock": {
        "endpoint": "The path of the CometD server; what follows it in a request doesn't matter.",
        "advice": "What clients are advised.",
        "max_interval": "How long a session lives without a poll.",
        "max_sessions_per_browser": "How many polls one browser may have held at once; below 0, any number.",
        "multi_session_interval": "How long a further poll of the same browser is told to wait.",
        "meta_connect_deliver_only": "true delivers with polls alone; false with the reply to any Bayeux message.",
        "ack": "Whether the acknowledgement extension is offered.",
        "require_cookie": "Whether a Bayeux message without its session's cookie gets 402.",
        "on_hangup": "What happens to notifications whose reply couldn't be written: keep (sent again) or lose.",
        "deliver": "To all clients of the session, or only to subscribed ones.",
        "dialect": "Whose error texts are used: those of CometD 3.x, or of 4 and newer.",
        "transports": "The transports that a handshake offers.",
        "max_queue": "How many notifications wait for a session at most.",
        "max_message_bytes": "How large one message may be.",
    },
    "SessionBlock": {
        "cookie": "The name of the session's cookie, or none.",
        "max_idle": "How long a session lives without a request.",
    },
    "SettingsBlock": {
        "seed": "What generated values are made from.",
        "speed": "2 is twice as fast; at 0 everything due follows its cause at once.",
        "repeat": "When the answers to equal requests run out.",
        "unmatched": "What a request gets that nothing answers.",
        "auth": "Who is let in.",
    },
    "FallbackBlock": {
        "message": "What such a notification holds: JSON Pointers and their values.",
        "operations": "The operations whose requests come into question.",
        "event": "Where the notification names what it is about.",
        "request": "Where the request names it.",
    },
    "CorrelationBlock": {
        "extends": "The profile that this one begins from.",
        "name": "A name of its own.",
        "reply": "Where the reply holds the reference.",
        "map": "Where it holds a map of several references.",
        "event": "Where the notification holds it.",
        "request": "Where the request holds it, if the client chooses it.",
        "fallback": "How notifications without a reference find their request.",
        "volatile": "What in a notification differs each time and means nothing.",
        "window": "How long after a request a notification may still belong to it.",
        "operation": "Where a request names its operation.",
        "owner": "Where a request names whom it asks about.",
        "owner_type": "Where a request names the kind of owner.",
    },
    "RoleBlock": {
        "user": "The login name that is cast in this role.",
        "id": "The user's id.",
    },
    "RequestBlock": {
        "method": "The HTTP method.",
        "path": "The path, without the query; a list is taken segment by segment.",
        "query": "The parameters, in any order; left out, there must be none.",
        "headers": "Header fields that must match; others don't matter.",
        "authenticated": "true only with a login, false only without; left out, both.",
        **_BODY,
    },
    "PublishBlock": {
        "publish": "The channel that the client publishes to.",
        "data": "The data that it publishes.",
        "ext": "The message's ext field.",
        "authenticated": "true only with a login, false only without; left out, both.",
    },
    "HttpReply": {
        "after": _AFTER,
        "status": "The status; 200 if left out.",
        "headers": "Header fields of the reply.",
        **_BODY,
    },
    "PublishReply": {"after": _AFTER, **_PUBLISHED},
    "EventBlock": _EVENT,
    "WhenBlock": {
        "after": "Exchanges of which the session must have played each.",
        "before": "Exchanges of which it must have played none.",
    },
    "ExchangeBlock": {
        "name": "Its name, once in the scenario.",
        "as": _ROLES,
        "when": "What the session must, or must not, have asked before.",
        "request": "What it answers: an HTTP request, or a publish.",
        "reply": "The reply to the request itself.",
        "events": "The notifications that the request causes.",
        "repeat": "When the answers to equal requests run out; on the last of them.",
    },
    "TimelineBlock": {
        **_EVENT,
        "after": "How long after what it follows, with a unit; may be a template.",
        "since": "What it follows: an exchange, handshake, connect (if left out) or subscribe.",
        "until": "The exchanges that end it.",
        "as": _ROLES,
    },
    "FaultBlock": {
        "exchange": "The exchanges that it strikes.",
        "meta": "Or the Bayeux meta channel.",
        "channel": "Only the subscription to this channel.",
        "as": _ROLES,
        "nth": "Only the nth time in a session.",
        "every": "Each nth time.",
        "rate": "In this part of the cases, from 0 to 1, by the seed.",
        "status": "Answers with this status.",
        "headers": "Header fields beside status.",
        "body": "A JSON body beside status.",
        "text": "A text beside status.",
        "delay": "Answers so much later.",
        "drop-event": "Loses notifications: true for all, a number for the nth, or a channel.",
        "duplicate-event": "Sends notifications twice: true for all, a number for the nth, or a channel.",
        "disconnect": "Ends the CometD session.",
        "broken": "Cuts the connection in place of an answer.",
        "error": "A Bayeux error, such as 402::Unknown client.",
        "advice": "The advice beside error.",
        "ext": "The ext field beside error.",
    },
}
"""Sentences by block, as the JSON Schema names it, and key."""
