'use strict';
// A stand-in for Genesys Web Services: the parts of API v2 that a workbin desktop uses, with its notifications
// sent by the official CometD server for Node.js.
//
//     node stand_in.js [--port 0] [--seed 21] [--csrf] [--sign-in] [--timeout 30000] [--change NAME]
//
// With --sign-in, users log in with POST /api/v2/sign-in {userName, password} instead of Basic authentication.
// Prints `listening on URL` when it is ready. Ends on SIGTERM or SIGINT.

const crypto = require('crypto');
const http = require('http');
const {parseArgs} = require('util');
const {createCometDServer} = require('cometd-nodejs-server');
const {findChange} = require('./changes.js');
const {ContactCenter} = require('./contact_center.js');
const {Jitter, References} = require('./jitter.js');
const {Workbins, failed, ok} = require('./workbins.js');

const NOTIFICATIONS = '/api/v2/notifications';
const SIGN_IN = '/api/v2/sign-in';
const ACCESS_DENIED = failed(403, 20, 'Access denied');
const MEDIA = ['chat', 'email', 'workitem', 'multimedia', 'openmedia'];

const {values: options} = parseArgs({options: {
    port: {type: 'string', default: '0'},
    seed: {type: 'string', default: '21'},
    csrf: {type: 'boolean', default: false},
    'sign-in': {type: 'boolean', default: false},
    timeout: {type: 'string', default: '30000'},
    change: {type: 'string'},
}});

const applyChange = findChange(options.change);
const center = new ContactCenter();
const jitter = new Jitter(options.seed);
const sessions = new Map();
const cometd = createCometDServer({timeout: Number(options.timeout)});
const connected = new WeakSet();
let workbins;

// A CometD session belongs to the HTTP session of its handshake: all users subscribe to the same `/v2/me/...`
// channels, and each receives only its own notifications.
cometd.policy = {
    canHandshake(cometdSession, message, callback) {
        const session = cometd.context.request.httpSession;
        session.cometd.push(cometdSession);
        cometdSession.addListener('removed', () => {
            session.cometd = session.cometd.filter(each => each !== cometdSession);
        });
        callback(null, true);
    },
};

// Genesys Web Services uses the Java server, which answers the first connect of a session immediately; the server
// for Node.js does so only with this advice.
cometd.addExtension({
    incoming(_server, cometdSession, message, callback) {
        if (message.channel === '/meta/connect' && !connected.has(cometdSession)) {
            connected.add(cometdSession);
            message.advice = {timeout: 0, ...message.advice};
        }
        callback(null, true);
    },
});

function deliver(session, {channel, data}) {
    session.cometd.forEach(each => each.deliver(null, channel, data));
}

/** Return the session of the cookie, else a new one, whose cookie is set in the reply. */
function sessionOf(request, response) {
    const cookie = /(?:^|;\s*)JSESSIONID=([^;]+)/.exec(request.headers.cookie || '');
    const existing = cookie && sessions.get(cookie[1]);
    if (existing) {
        return existing;
    }
    const session = {id: crypto.randomBytes(16).toString('hex'), csrf: crypto.randomUUID(), user: null, multimedia: false, cometd: []};
    sessions.set(session.id, session);
    response.setHeader('Set-Cookie', `JSESSIONID=${session.id}; Path=/api; HttpOnly`);
    return session;
}

function logIn(request, session, path, content) {
    if (options['sign-in']) {
        if (path === SIGN_IN) {
            const {userName, password} = parsed(content) || {};
            session.user = center.userWithPassword(userName, password) || null;
        }
        return session.user !== null;
    }
    const basic = /^Basic (.+)$/.exec(request.headers.authorization || '');
    if (basic) {
        const [userName, ...password] = Buffer.from(basic[1], 'base64').toString().split(':');
        session.user = center.userWithPassword(userName, password.join(':')) || null;
    }
    return session.user !== null;
}

/** StartContactCenterSession and EndContactCenterSession: both synchronous. */
function me(session, body) {
    if (body.operationName === 'StartContactCenterSession') {
        session.multimedia = (body.channels || []).some(channel => MEDIA.includes(channel));
        return ok({});
    }
    if (body.operationName === 'EndContactCenterSession') {
        sessions.delete(session.id);
        return ok({});
    }
    return failed(400, 2, `Operation '${body.operationName}' is not supported.`);
}

function answer(method, segments, query, session, body) {
    const {password, ...user} = session.user;
    const get = method === 'GET';
    const [family, ...rest] = segments;
    if (family === 'workbins') {
        return get ? workbins.get(session, rest, query) : workbins.post(session, rest, query, body);
    }
    if (family === 'me' && rest[0] === 'workbins') {
        return get ? workbins.get(session, rest.slice(1), query) : workbins.post(session, rest.slice(1), query, body);
    }
    if (family === 'me' && rest.length === 0) {
        return get ? ok({user: {...user, uri: `${workbins.externalUrl}/api/v2/users/${user.id}`}}) : me(session, body);
    }
    if (family === 'users' && rest[1] === 'workbins' && !get) {
        const about = center.user(rest[0]);
        return about ? workbins.post(session, rest.slice(2), query, body, about) : failed(404, 6, 'User is not found.');
    }
    if (segments.join('/') === 'diagnostics/version' && get) {
        return ok({version: '8.5.202.96'});
    }
    return failed(404, 6, 'Resource is not found.');
}

function send(response, {status, body}) {
    const text = typeof body === 'string';
    response.writeHead(status, {'Content-Type': text ? 'text/plain' : 'application/json;charset=UTF-8'});
    response.end(text ? body : JSON.stringify(body));
}

function handle(request, response, content) {
    const url = new URL(request.url, workbins.externalUrl);
    const path = url.pathname.replace(/\/+$/, '');
    const session = sessionOf(request, response);
    if (!logIn(request, session, path, content)) {
        return send(response, ACCESS_DENIED); // also for the notifications (inferred)
    }
    if (options['sign-in'] && path === SIGN_IN) {
        return send(response, ok({}));
    }
    if (path === NOTIFICATIONS || path.startsWith(`${NOTIFICATIONS}/`)) {
        request.body = parsed(content); // parsed here, so that the policy above runs within this call
        request.httpSession = session;
        return request.body ? cometd.handle(request, response) : send(response, {status: 400, body: ''});
    }
    if (options.csrf && request.method === 'GET') {
        response.setHeader('X-CSRF-HEADER', 'X-CSRF-TOKEN');
        response.setHeader('X-CSRF-TOKEN', session.csrf);
    } else if (options.csrf && request.headers['x-csrf-token'] !== session.csrf) {
        return send(response, {status: 403, body: 'Missing or invalid Csrf token'}); // the real body is unknown
    }
    const body = request.method === 'GET' ? {} : parsed(content);
    if (body === undefined) {
        return send(response, failed(400, 2, 'The body is not JSON.'));
    }
    const reply = answer(request.method, path.split('/').slice(3), url.searchParams, session, body);
    const result = applyChange({method: request.method, path, body}, reply);
    const delays = jitter.next(session.id, `${request.method} ${request.url} ${JSON.stringify(body)}`);
    setTimeout(send, request.method === 'GET' ? 0 : delays.reply, response, result);
    (result.events || []).forEach((event, nth) => setTimeout(deliver, delays.notification + 60 * nth, session, event));
    (result.others || []).forEach(event => setTimeout(deliver, event.after, session, event));
}

function parsed(content) {
    try {
        return JSON.parse(content);
    } catch {
        return undefined;
    }
}

const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => handle(request, response, Buffer.concat(chunks).toString()));
});
server.keepAliveTimeout = 30000; // the idleTimeout of the sample configuration
server.listen(Number(options.port), '127.0.0.1', () => {
    const externalUrl = `http://127.0.0.1:${server.address().port}`;
    workbins = new Workbins(center, new References(options.seed), externalUrl);
    console.log(`listening on ${externalUrl}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(0));
}
