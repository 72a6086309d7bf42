'use strict';
// A stand-in for the Workspace API version 3: the initialization and the workbins, as the public agent-api-simulator of
// Genesys answers them, with notifications by the official CometD server for Node.js.
//
//     node workspace_server.js [--port 0]
//
// Prints `listening on URL` when it is ready. Ends on SIGTERM or SIGINT.

const http = require('http');
const crypto = require('crypto');
const {parseArgs} = require('util');
const {createCometDServer} = require('cometd-nodejs-server');

const {values: options} = parseArgs({options: {port: {type: 'string', default: '0'}}});
const ROOT = '/workspace/v3';
const BIN = {id: '861640a2-7c64-4c0b-9d7e-1f6f0c5a0001', workbinName: 'Tasks', type: 'Agent'};
const USER = {userName: 'ann.archer', employeeId: 'ann.archer', agentLogin: '4711'};
const cometd = createCometDServer();
const sessions = new Map(); // by cookie: the CometD sessions of one user
let operations = 0;

cometd.addListener('sessionAdded', session => {
    const owner = ownerOf(cometd.context.request);
    owner.push(session);
    session.addListener('removed', () => owner.splice(owner.indexOf(session), 1));
    setTimeout(() => session.deliver(null, `${ROOT}/initialization`, {
        messageType: 'WorkspaceInitializationComplete',
        state: 'Complete',
        data: {user: USER, configuration: {}},
    }), 150);
});

function ownerOf(request) {
    const [, id] = /(?:^|;\s*)WORKSPACE_SESSIONID=([^;]+)/.exec(request.headers.cookie || '') || [];
    return sessions.get(id) || [];
}

/** The events that follow a request: [name, members], and whether they carry the operationId. */
function eventsOf(path, body) {
    const [first, second] = path;
    const data = body.data || {};
    const content = {...BIN, interactions: []};
    const changed = (operation, workbinContentOperation, workbin, id) => ['EventWorkbinContentChanged', {
        operation, workbinContentOperation, workbin: {id: workbin, owner: USER.userName}, interaction: {id},
    }];
    if (first === 'workbins') {
        const routes = {
            'get-workbins': () => ['EventWorkbins', {workbins: [BIN]}],
            'get-contents': () => ['EventWorkbinsContent', {workbins: Object.fromEntries(data.workbinIds.split(',').map(id => [id, content]))}],
            subscribe: () => ['EventAck', {operation: 'SubscribeWorkbinEvents'}],
            unsubscribe: () => ['EventAck', {operation: 'UnsubscribeWorkbinEvents'}],
        };
        const ofWorkbin = {
            'get-content': () => ['EventWorkbinContent', {workbin: content}],
            subscribe: () => ['EventAck', {operation: 'SubscribeWorkbinEvents', workbinId: second}],
            unsubscribe: () => ['EventAck', {operation: 'UnsubscribeWorkbinEvents', workbinId: second}],
            'add-interaction': () => changed('PlaceInWorkbin', 'Add', second, data.interactionId),
        };
        const [, , third, fourth] = path;
        if (second === 'interactions' && fourth === 'get-details') {
            return ['EventGetInteractionDetails', {interaction: {id: third, mediatype: 'workitem'}}];
        }
        return (path.length === 2 ? routes[second] : ofWorkbin[third])?.();
    }
    return first === 'media' && path.at(-1) === 'pull' ? changed('Pull', 'Remove', data.sourceId, path.at(-2)) : undefined;
}

function handle(request, response, content) {
    const path = new URL(request.url, 'http://127.0.0.1').pathname.replace(/\/$/, '').slice(ROOT.length + 1).split('/');
    if (path[0] === 'notifications') {
        request.body = JSON.parse(content);
        return cometd.handle(request, response);
    }
    const body = content ? JSON.parse(content) : {};
    const send = (status, reply, headers = {}) => {
        response.writeHead(status, {'Content-Type': 'application/json', ...headers});
        response.end(JSON.stringify(reply));
    };
    if (path[0] === 'initialize-workspace') {
        const id = crypto.randomUUID();
        sessions.set(id, []);
        return send(200, {status: {code: 1}}, {'Set-Cookie': `WORKSPACE_SESSIONID=${id}; Path=/`});
    }
    if (path[0] === 'logout') {
        return send(200, {status: {code: 0}});
    }
    const found = eventsOf(path, body);
    if (!found) {
        return send(404, {status: {code: 6}});
    }
    const [name, members] = found;
    const operationId = body.operationId || `op-${++operations}`;
    setTimeout(send, 20, 200, {status: {code: 1}, operationId});
    const event = {name, messageType: 'WorkbinsMessage', ...(name === 'EventWorkbinContentChanged' ? {} : {operationId}), ...members};
    setTimeout(() => ownerOf(request).forEach(session => session.deliver(null, `${ROOT}/workbins`, event)), 80);
}

const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => handle(request, response, Buffer.concat(chunks).toString()));
});
server.listen(Number(options.port), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(0));
}
