'use strict';
// Changes of a server since it was recorded: `--change NAME` makes the stand-in answer one request in another way.

const NAMES = ['Count', 'Total'];

/** Change each notification of a reply; the change may return several, or none. */
const events = change => reply => ({...reply, events: (reply.events || []).flatMap(change)});

/** Change the data of each notification. */
const data = change => events(event => [{...event, data: change(event.data)}]);

/** Change the body of the reply. */
const body = change => reply => ({...reply, body: change(reply.body)});

/** Change the statistics of each workbin in a notification. */
const stats = change => data(({workbinStats, ...rest}) => ({
    workbinStats: Object.fromEntries(Object.entries(workbinStats).map(([id, each]) => [id, change(each)])),
    ...rest,
}));

const renamed = members => Object.fromEntries(Object.entries(members).map(
    ([name, value]) => [name === NAMES[0] ? NAMES[1] : name, value]));

/** Match requests of an operation, and optionally of an owner or a path. */
const posts = (operation, about) => ({body: requestBody, path}) =>
    requestBody.operationName === operation && (about === undefined || requestBody.workbinOwner === about || path.endsWith(about));
const gets = (...segments) => ({method, path}) => method === 'GET' && path.endsWith(segments.join('/'));

/** The request that each change applies to, and the change of its reply. */
const CHANGES = {
    'field-renamed': [posts('RequestAgentStats', 'Place1'), stats(renamed)],
    'type-changed': [posts('RequestAgentStats', 'ServiceAgentGroup'), stats(each => ({...each, Count: String(each.Count)}))],
    'field-removed': [posts('RequestAgentStats', 'ServicePlaceGroup'), stats(({Owner, ...rest}) => rest)],
    'field-added': [gets('diagnostics', 'version'), body(reply => ({...reply, build: 7}))],
    'event-dropped': [posts('RequestAgentStats', 'users/28383e5523c7479cae4afa8df88d66df/workbins'), events(() => [])],
    'event-doubled': [posts('AddWorkitem'), events((event, nth) => nth === 0 ? [event, event] : [event])],
    'subscription-doubled': [posts('Subscribe', 'workbins/861640a2-5e11-4c0b-b0a7-93d2c1f4e503'), events(event => [event, event])],
    'event-moved': [posts('RequestStats'), events(event => [{...event, channel: '/v2/me/statistics'}])],
    'event-added': [posts('PullWorkitem'), events((event, nth) => nth === 0 ? [event, {
        channel: '/v2/me/workbins', data: {messageType: 'WorkbinAuditMessage', referenceId: event.data.referenceId},
    }] : [event])],
    'events-swapped': [posts('Subscribe', '/me/workbins'), reply => ({...reply, events: reply.events.reverse()})],
    'status-changed': [posts('RequestStats', '00000000-0000-4000-8000-000000000000'), reply => ({...reply, status: 410})],
    'code-changed': [posts('RequestStats', '00000000-0000-4000-8000-000000000000'), body(reply => ({...reply, statusCode: 4}))],
    'value-changed': [gets('diagnostics', 'version'), body(reply => ({...reply, version: '9.0.000.01'}))],
    'item-removed': [gets('workbins'), body(reply => Array.isArray(reply.workbins) ? {...reply, workbins: reply.workbins.slice(0, -1)} : reply)],
    'reference-retyped': [posts('Unsubscribe'), body(reply => ({...reply, referenceId: String(reply.referenceId)}))],
};

/** Return a function that applies the named change to a reply, or returns it unchanged if there is no name. */
function findChange(name) {
    if (name === undefined) {
        return (request, reply) => reply;
    }
    if (!(name in CHANGES)) {
        throw new Error(`unknown change '${name}'; expected one of ${Object.keys(CHANGES).join(', ')}`);
    }
    const [matches, change] = CHANGES[name];
    return (request, reply) => matches(request) ? change(reply) : reply;
}

module.exports = {findChange};
