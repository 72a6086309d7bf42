"""Names of secrets, of personal data and of other values, for the tests of masking, recording and the admin API."""

from __future__ import annotations

__all__ = ["KEPT", "PERSONAL", "QUERY_PERSONAL", "QUERY_SECRETS", "SECRETS"]

SECRETS = """
password mypassword newPassword old_password PASSWORD userPassword passwordConfirmation password2
confirm-password Passwort password_hash passwordHint changePasswordOnLogin loginPassword passwd mypasswd passphrase
key_passphrase passcode passCode pass-code pwd mypwd newPwd pwd1 PWD oldpwd pass userPass pin PIN newPin pinCode
pin_code puk otp OTP otpCode otp_value totp totpCode mfa mfaCode mfa_code 2faCode twoFactorCode smsCode sms_code
oneTimeCode one-time-code verificationCode verification_code verificationcode securityCode activationCode resetCode
recoveryCodes backupCodes accessCode inviteCode pairingCode authCode authorizationCode authorization_code
codeVerifier code_verifier securityAnswer security_answer secretAnswer cvv cvv2 cvc cvc2 CVC cardCvv card_cvc secret
mysecretmy clientSecret client_secret SecretKey sharedSecret csrf mycsrfmy csrfToken _csrf X-CSRF-TOKEN xsrf
myxsrfmy X-XSRF-TOKEN token mytoken accessToken access_token accesstoken refreshToken refresh-token idToken id_token
tokens tokenValue token_value tokenId token1 deviceToken bearerToken authToken jwt jwtToken bearer cookie cookies
sessionCookie set-cookie accessKey myaccesskey aws_secret_access_key access-key accessKeyId privateKey myprivatekey
private_key private-key apiKey myapikey api_key x-api-key apikey signingKey encryptionKey sessionKey session_key
masterKey subscriptionKey authorization Authorization proxyAuthorization auth basicAuth credential credentials
userCredentials clientAssertion assertion samlRequest samlResponse SAMLResponse relayState RelayState ssid surl
rnurl rnsid rnusername wwe_code clientId clientID secureKey contactCenterId jsessionid JSESSIONID sessionId
mysessionid session_id my-session-id sid SID sessId sess_id PHPSESSID sessionHandle sessionTicket authTicket
auth_ticket ssoTicket loginTicket
"""


QUERY_SECRETS = """
code state nonce sig signature mysignature X-Amz-Signature key session sid redirect_uri redirectUri j_password sso
ticket
"""


PERSONAL = """
userName username user_name user login firstName first_name firstname lastName last_name middleName fullName
displayName display-name displayUserName surname givenName given_name familyName agentName nickname nickName
emailAddress emailAddresses email mail e-mail employeeId agentLogin loginCode phoneNumber phone phone_number mobile
mobilePhone mobile_phone homePhone workPhone cellPhone tel telephone fax faxNumber msisdn e164Number
formattedPhoneNumber dnis ani callerId otherDN from fromAddress fromAddresses to toAddress toAddresses cc
ccAddresses bcc bccAddress replyTo sender recipient recipients screenName twitterHandle socialHandle myhandle
customerName contactName callerName address homeAddress billing_address street city postalCode zip zipCode birthDate
birth_date dateOfBirth date_of_birth dob birthday ssn socialSecurityNumber cardNumber card_number mycardnumber
creditCard pan iban bankAccount accountNumber passportNumber taxId contactId chatServerHost participants participant
party parties contact contacts userData userdata attachedData extensions customAttributes subject text body htmlBody
plainTextBody bodyText structuredText content comment comments note notes description messageText message_text
messageBody chatText noteText smsText emailBody message chat originalMessage transcript messages messageLog
attachments
"""


QUERY_PERSONAL = "j_username"

KEPT = """
id name type kind status statusCode status_code statusText state code countryCode country_code errorCode reasonCode
zone workbinName workbinId workbinIds workbinOwner owner ownerId fileName file_name operationName operationId
referenceId messageType notificationType messageId statusMessage errorMessage channel channels client clients
version place placeName agentGroup placeGroup queue interactionQueue queueName skillName groupName roleName
className hostName eventName interactionId devicePath deviceId deviceName parentId assignedTo userId createdDate
date dateOfReceipt timestamp count Count total size length offset limit page keyboard keyCode keyName keyword
keywords monkey publicKey primaryKey foreignKey sortKey idempotencyKey tokenizer tokenise tokenType token_type
tokenExpiresAt tokenEndpoint token_endpoint tokenUrl maxTokens max_tokens total_tokens prompt_tokens passwordPolicy
passwordLength passwordExpired passwordExpiresIn requirePassword hasPassword isPasswordSet rememberPassword pinned
spin pinLength pinboard spinner passengers passage compass passport bypass passed secretary cookieConsent cookieName
sessionTimeout sessions sessionState sessionIdName csrfHeader csrf_parameter_name authenticated authType authMethod
authorizationEndpoint author authority credentialType client_id phoneType phoneModel ipAddress macAddress
addressType capabilities uri url links priority subresources fields interactionType interactionSubtype emailType
receivedDate chats emails workitems otpRequired mfaEnabled mfaRequired
"""
