// A program on npm's `genesys-workspace-client-js`: initializes, uses the workbins and logs out. Prints for each step the
// reply and the messages that followed, as JSON.
//
//     node workspace_client.mjs BASE-URL

import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const PATIENCE = 15000; // milliseconds for each step
const WorkspaceApi = require('genesys-workspace-client-js');
const workspace = require('genesys-workspace-client-js/src/internal/code-gen/workspace-api');
const BIN = '861640a2-7c64-4c0b-9d7e-1f6f0c5a0001';
const INTERACTION = '00016AB14RQD006K';
const [base] = process.argv.slice(2);
const printed = [];
const messages = [];
let wake = () => {};

function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing within ${PATIENCE} ms`)), PATIENCE);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Call the SDK, and wait for the notification of the operation. */
async function act(step, call, followed) {
    messages.length = 0;
    const reply = await within(call(), step);
    const arrived = () => messages.find(message => message.name === followed);
    if (followed) {
        await within(new Promise(resolve => {
            wake = () => arrived() && resolve();
            wake();
        }), `${step}: ${followed}`);
    }
    printed.push({step, status: reply.data.status.code, followed: arrived() ?? null});
}

async function run() {
    const api = new WorkspaceApi('', base, 'false');
    await within(api.initialize({token: 'live-token-0a1b2c3d'}), 'initialize');
    printed.push({step: 'initialize', user: api.user});
    const workbins = new workspace.WorkbinsApi(api.agent);
    const session = new workspace.SessionApi(api.agent);
    const media = new workspace.MediaApi(api.agent);
    await within(new Promise((resolve, reject) => api._cometd.subscribe('/workspace/v3/workbins', ({data}) => {
        messages.push(data);
        wake();
    }, reply => (reply.successful ? resolve() : reject(new Error(JSON.stringify(reply)))))), 'subscribe');
    const changed = 'EventWorkbinContentChanged';
    await act('get workbins', () => workbins.getWorkbinsWithHttpInfo(), 'EventWorkbins');
    await act('get contents', () => workbins.getWorkbinsContentWithHttpInfo({data: {workbinIds: BIN}}), 'EventWorkbinsContent');
    await act('get content', () => workbins.getWorkbinContentWithHttpInfo(BIN, {data: {ownerId: 'ann.archer'}}), 'EventWorkbinContent');
    await act('get details', () => workbins.getInteractionDetailsFromWorkbinWithHttpInfo(INTERACTION), 'EventGetInteractionDetails');
    await act('subscribe', () => workbins.subscribeToWorkbinNotificationsWithHttpInfo(BIN, {data: {}}), 'EventAck');
    await act('subscribe to several', () => workbins.subscribeToWorkbinsNotificationsWithHttpInfo({data: {workbinIds: BIN}}), 'EventAck');
    await act('add', () => workbins.addInteractionToWorkbinWithHttpInfo(BIN, {data: {interactionId: INTERACTION}}), changed);
    await act('remove', () => media.pullInteractionFromWorkbinWithHttpInfo('workitem', INTERACTION, {pullInteractionFromWorkbinData: {data: {sourceId: BIN}}}), changed);
    await act('unsubscribe from several', () => workbins.unsubscribeToWorkbinsNotificationsWithHttpInfo({data: {workbinIds: BIN}}), 'EventAck');
    await act('unsubscribe', () => workbins.unsubscribeToWorkbinNotificationsWithHttpInfo(BIN, {data: {}}), 'EventAck');
    await act('log out', () => session.logoutWithHttpInfo());
}

run().then(() => {
    console.log(JSON.stringify(printed));
    process.exit(0);
}, error => {
    console.error(`workspace client: ${error.message ?? JSON.stringify(error)}`);
    console.error(JSON.stringify(printed));
    process.exit(1);
});
