"""Descriptions of the scenario keys, one sentence each, for editors and for the reference.

`json_schema` adds them to the JSON Schema, from which the reference is generated.
"""

from __future__ import annotations

__all__ = ["KEY_DESCRIPTIONS"]

_AFTER = "The delay after the request, with a unit: 120ms, 1.5s; may be a template."
_ROLES = "The roles that it applies to, one or several; if left out, all sessions."
_AUTHENTICATED = "true requires a logged-in session, false one that isn't; if left out, both match."
_REPEAT = "How to answer equal requests when the recorded answers are used up: last, cycle or fail."
_EVENT = {
    "after": _AFTER,
    "channel": "The channel of the notification; may be a template.",
    "data": "The data of the notification.",
    "ext": "The ext field of the message.",
    "disconnect": "true ends the CometD session instead of sending a notification.",
    "deliver": "The receivers: asker (default), subscribers of the channel, all sessions, or the sessions of a role.",
    "batch": "Notifications that are due at the same time and have the same batch name are delivered together.",
    "count": "The number of times that the notification is sent.",
    "gap": "The time between two notifications of count.",
}
_BODY = {
    "body": "A JSON body.",
    "text": "A text body that isn't JSON.",
    "base64": "A binary body, in Base64.",
}
_PUBLISHED = {
    "successful": "The result of the publish; true if left out.",
    "error": "The Bayeux error, such as 403::denied.",
    "data": "The data of the reply.",
    "ext": "The ext field of the reply.",
}

KEY_DESCRIPTIONS: dict[str, dict[str, str]] = {
    "Scenario": {
        "cometreel": "The version of the format; always 1.",
        "title": "The title of the scenario, in one line.",
        "source": "The origin of the scenario.",
        "bayeux": "The behaviour of the CometD server.",
        "session": "The HTTP session.",
        "correlation": "How to find the request of a notification: the name of a profile, or an inline profile.",
        "ignore": "JSON Pointers into reply bodies and data that verify doesn't compare; * matches every member.",
        "settings": "Defaults for the options of the replay.",
        "reply_headers": "Header fields of all HTTP replies of this file, unless a reply has its own.",
        "roles": "The recorded sessions by name, if replies depend on the user.",
        "exchanges": "Requests, their replies and the notifications that they cause.",
        "timeline": "Unsolicited notifications.",
        "faults": "Faults to inject, and when.",
    },
    "SourceBlock": {
        "recorded": "The time of the recording; the scenario's clock starts here.",
        "upstream": "A description of the recorded server.",
    },
    "AdviceBlock": {
        "timeout": "How long the server holds a poll, in milliseconds.",
        "interval": "How long a client waits between two polls, in milliseconds.",
    },
    "BayeuxBlock": {
        "endpoint": "The path of the CometD server; longer request paths match too.",
        "advice": "The advice sent to clients.",
        "max_interval": "How long a CometD session stays open without a poll.",
        "max_sessions_per_browser": "The number of polls held for one browser at the same time; no limit if negative.",
        "multi_session_interval": "The interval advised to further CometD sessions of the same browser.",
        "meta_connect_deliver_only": "true delivers notifications only with polls, false with any Bayeux reply.",
        "ack": "true offers the acknowledgement extension.",
        "require_cookie": "true answers 402 to Bayeux messages without the browser cookie of their CometD session.",
        "on_hangup": "Notifications in a reply that couldn't be written are sent again (keep) or dropped (lose).",
        "deliver": "Deliver to all clients of the HTTP session (all) or only to those that subscribed (subscribed).",
        "dialect": "The wording of errors: that of CometD 3.x, or of 4 and later.",
        "transports": "The transports offered in the handshake.",
        "max_queue": "The maximum number of notifications that wait for the next poll of a CometD session.",
        "max_message_bytes": "The maximum size of a Bayeux request body or WebSocket message, in bytes.",
        "form": "true accepts Bayeux messages in forms (message=…), as Faye's cross-origin transport sends them.",
        "handshake": "The ext and advice of the reply to a handshake, as sent; if left out, the default advice.",
    },
    "HandshakeBlock": {
        "ext": "The ext field of the reply to a successful handshake.",
        "advice": "The advice of that reply.",
    },
    "SessionBlock": {
        "cookie": "The name of the session cookie, or none if the server sets no cookie.",
        "credentials": "Requests with the same user or token share a session (use, the default) or not (ignore).",
        "anonymous": "With cookie none: clients without identity share one session, one per address, or none (each).",
        "max_provisional": "The number of sessions kept of clients that haven't returned yet; 10000 if left out.",
        "max_idle": "How long an HTTP session stays open without a request.",
        "when_gone": "When all CometD clients of a session have ended, drop its notifications (default) or keep them.",
        "bind": "Values that a reply hands out and that clients send back; they identify the session.",
    },
    "BindBlock": {
        "name": "The name of the value in templates (session.NAME); the last name in from if left out.",
        "from": "The place in the reply, such as $response.body#/sessionId or $response.header.Location?code.",
        "in": "The places in later requests: $request.path.sessionId, $request.query.code, $message#/ext/token, ….",
    },
    "SettingsBlock": {
        "seed": "The seed of generated values.",
        "speed": "The speed factor: 2 is twice as fast, 0 sends everything immediately.",
        "repeat": _REPEAT,
        "unmatched": "How to answer unmatched requests: fail (404 with near misses) or forward (to the real server).",
        "auth": "The authentication required: open, session or csrf.",
        "cors": "The origins whose web pages may use the replay, such as http://localhost:3000; * allows any.",
    },
    "FallbackBlock": {
        "message": "The values that identify such a notification, by JSON Pointer.",
        "operations": "The operations of possible requests.",
        "event": "The JSON Pointer to the shared value in the notification.",
        "request": "The location of the shared value in the request.",
    },
    "CorrelationBlock": {
        "extends": "The profile to extend.",
        "name": "The name of the profile.",
        "reply": "JSON Pointers to the reference number in the reply.",
        "map": "JSON Pointers to maps of reference numbers in the reply.",
        "event": "JSON Pointers to the reference number in the notification.",
        "request": "JSON Pointers to the reference number in the request, if the client chooses it.",
        "fallback": "How to find the request of notifications without a reference number.",
        "volatile": "JSON Pointers to values of a notification that differ each time and aren't compared.",
        "window": "The longest time between a request and its notification.",
        "operation": "The JSON Pointer to the operation name in the request.",
        "owner": "JSON Pointers to the resource that the request is about.",
        "owner_type": "JSON Pointers to the type of that resource.",
    },
    "RoleBlock": {
        "user": "The login name that is assigned to this role.",
        "id": "The user's id.",
    },
    "RequestBlock": {
        "method": "The HTTP method.",
        "path": "The path without the query, as text or as a list of segments.",
        "query": "The query parameters, in any order; if left out, the query must be empty.",
        "headers": "Header fields that must match; other fields are ignored.",
        "authenticated": _AUTHENTICATED,
        "form": "The fields of a form (application/x-www-form-urlencoded), in any order; a list for a repeated field.",
        **_BODY,
    },
    "PublishBlock": {
        "publish": "The channel that the client publishes to.",
        "data": "The published data.",
        "ext": "The ext field of the message.",
        "authenticated": _AUTHENTICATED,
    },
    "HttpReply": {
        "after": _AFTER,
        "status": "The HTTP status; 200 if left out.",
        "headers": "The header fields of the reply; null leaves out a field of reply_headers.",
        **_BODY,
    },
    "PublishReply": {"after": _AFTER, **_PUBLISHED},
    "EventBlock": _EVENT,
    "WhenBlock": {
        "after": "Exchanges that the session must have played.",
        "before": "Exchanges that the session must not have played.",
    },
    "ExchangeBlock": {
        "name": "The name of the exchange, unique in the scenario.",
        "as": _ROLES,
        "when": "The exchanges that the session must, or must not, have played before.",
        "request": "The request to match: an HTTP request or a publish.",
        "reply": "The reply to the request.",
        "events": "The notifications that the request causes.",
        "repeat": f"{_REPEAT[:-1]}; set it on the last exchange.",
    },
    "TimelineBlock": {
        **_EVENT,
        "after": "The delay after the start (since), with a unit; may be a template.",
        "since": "The start: connect (the default), another step of a CometD client, a channel, or an exchange.",
        "until": "The end: one or several of the same.",
        "as": _ROLES,
    },
    "FaultBlock": {
        "exchange": "The exchanges that the fault applies to.",
        "meta": "The Bayeux meta channel that the fault applies to, instead of exchange.",
        "channel": "With meta /meta/subscribe or /meta/unsubscribe: the subscriptions to this channel only.",
        "as": _ROLES,
        "nth": "Apply the fault only the nth time in a session.",
        "every": "Apply the fault every nth time in a session.",
        "rate": "Apply the fault with this probability, from 0 to 1; the seed determines when.",
        "status": "Send this HTTP status.",
        "headers": "The header fields sent with status.",
        "body": "The JSON body sent with status.",
        "text": "The text body sent with status.",
        "delay": "Send the reply this much later.",
        "drop-event": "Drop notifications: true for all, a number for the nth, or a channel.",
        "duplicate-event": "Send notifications twice: true for all, a number for the nth, or a channel.",
        "disconnect": "End the CometD session.",
        "broken": "Close the connection instead of sending a reply.",
        "error": "Send this Bayeux error, such as 402::Unknown client.",
        "advice": "The advice sent with error.",
        "ext": "The ext field sent with error.",
    },
}
"""Descriptions by definition of the JSON Schema and key."""
