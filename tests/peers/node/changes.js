'use strict';
// Ways in which a server may drift from what was recorded of it: `--change NAME` makes the stand-in answer one
// question in another way. Without it nothing here has any part.

const NAMES = ['Count', 'Total'];

/** The notifications of what was found, changed one by one; one that becomes several, or none, may do so. */
const events = change => found => ({...found, events: (found.events || []).flatMap(change)});

/** The data of each notification, changed. */
const data = change => events(event => [{...event, data: change(event.data)}]);

/** The body of the reply, changed. */
const body = change => found => ({...found, body: change(found.body)});

/** The statistics in a notification, changed workbin by workbin. */
const stats = change => data(({workbinStats, ...rest}) => ({
    workbinStats: Object.fromEntries(Object.entries(workbinStats).map(([id, each]) => [id, change(each)])),
    ...rest,
}));

const renamed = members => Object.fromEntries(Object.entries(members).map(
    ([name, value]) => [name === NAMES[0] ? NAMES[1] : name, value]));

/** Whether a question is of an operation, about an owner or a workbin where one is named. */
const asks = (operation, about) => ({body: asked, path}) =>
    asked.operationName === operation && (about === undefined || asked.workbinOwner === about || path.endsWith(about));
const gets = (...segments) => ({method, path}) => method === 'GET' && path.endsWith(segments.join('/'));

/** Name to the question that is answered in another way, and the way. */
const CHANGES = {
    'field-renamed': [asks('RequestAgentStats', 'Place1'), stats(renamed)],
    'type-changed': [asks('RequestAgentStats', 'ServiceAgentGroup'), stats(each => ({...each, Count: String(each.Count)}))],
    'field-removed': [asks('RequestAgentStats', 'ServicePlaceGroup'), stats(({Owner, ...rest}) => rest)],
    'field-added': [gets('diagnostics', 'version'), body(found => ({...found, build: 7}))],
    'event-dropped': [asks('RequestAgentStats', 'users/28383e5523c7479cae4afa8df88d66df/workbins'), events(() => [])],
    'event-doubled': [asks('AddWorkitem'), events((event, nth) => nth === 0 ? [event, event] : [event])],
    'subscription-doubled': [asks('Subscribe', 'workbins/861640a2-5e11-4c0b-b0a7-93d2c1f4e503'), events(event => [event, event])],
    'event-moved': [asks('RequestStats'), events(event => [{...event, channel: '/v2/me/statistics'}])],
    'event-added': [asks('PullWorkitem'), events((event, nth) => nth === 0 ? [event, {
        channel: '/v2/me/workbins', data: {messageType: 'WorkbinAuditMessage', referenceId: event.data.referenceId},
    }] : [event])],
    'events-swapped': [asks('Subscribe', '/me/workbins'), found => ({...found, events: found.events.reverse()})],
    'status-changed': [asks('RequestStats', '00000000-0000-4000-8000-000000000000'), found => ({...found, status: 410})],
    'code-changed': [asks('RequestStats', '00000000-0000-4000-8000-000000000000'), body(found => ({...found, statusCode: 4}))],
    'value-changed': [gets('diagnostics', 'version'), body(found => ({...found, version: '9.0.000.01'}))],
    'item-removed': [gets('workbins'), body(found => Array.isArray(found.workbins) ? {...found, workbins: found.workbins.slice(0, -1)} : found)],
    'reference-retyped': [asks('Unsubscribe'), body(found => ({...found, referenceId: String(found.referenceId)}))],
};

/** What the stand-in does with an answer: nothing, unless a change is named. */
function changed(name) {
    if (name === undefined) {
        return (question, found) => found;
    }
    if (!(name in CHANGES)) {
        throw new Error(`no change is called '${name}'; there are ${Object.keys(CHANGES).join(', ')}`);
    }
    const [concerns, change] = CHANGES[name];
    return (question, found) => concerns(question) ? change(found) : found;
}

module.exports = {changed};
