"""What a diagnosis doesn't show: values under names that stand for secrets and personal data.

The same names as in the recorder's policy `default`, as a test makes sure. Knows names and JSON, and replaces nothing
but what is shown to a person.
"""

from __future__ import annotations

import re
from fnmatch import translate

from cometreel.jsonvalue import JSON

__all__ = ["HIDDEN", "without_hidden", "hides"]

HIDDEN = "(hidden)"

_NAMES = """
*password* *passwd *passphrase *passcode *pwd pass pin otp *verificationcode *securityanswer cvv cvc *secret* securekey
clientid *csrf* *xsrf* *token jwt bearer cookie cookies set-cookie *accesskey *access_key *access-key *privatekey
*private_key *private-key *apikey *api_key *api-key *authorization credentials jsessionid *sessionid *session_id
*session-id ssid surl rnurl rnsid rnusername samlrequest samlresponse relaystate wwe_code contactcenterid
username user_name login firstname lastname middlename fullname displayname displayusername user agentname nickname
emailaddress* email mail employeeid agentlogin logincode phonenumber phone mobile e164number formattedphonenumber dnis
ani callerid otherdn from fromaddress* to toaddress* cc ccaddress* bcc bccaddress* replyto sender recipient recipients
screenname twitterhandle socialhandle *handle address street city postalcode birthdate ssn *cardnumber creditcard iban
contactid chatserverhost participants participant party parties contact contacts userdata attacheddata extensions
customattributes subject text body htmlbody plaintextbody bodytext structuredtext content comment comments note notes
description messagetext message chat originalmessage transcript messages messagelog attachments filename
"""
_IN_QUERIES = """
code state nonce sig *signature *credential auth key session sid assertion redirect_uri j_username j_password sso ticket
"""


def _any_of(names: str) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, names.split())), re.IGNORECASE)


_EVERYWHERE, _QUERIES = _any_of(_NAMES), _any_of(_IN_QUERIES)


def hides(where: str) -> bool:
    """Tell whether what stands at a place isn't shown: a JSON Pointer whose first name is the part of the question."""
    part, *names = where.removeprefix("/").split("/")
    secret = any(_EVERYWHERE.match(name) for name in names)
    return secret or (part == "query" and any(_QUERIES.match(name) for name in names))


def without_hidden(value: JSON) -> JSON:
    """Give a value without the members that aren't shown."""
    if isinstance(value, dict):
        return {name: HIDDEN if _EVERYWHERE.match(name) else without_hidden(member) for name, member in value.items()}
    return [without_hidden(item) for item in value] if isinstance(value, list) else value
