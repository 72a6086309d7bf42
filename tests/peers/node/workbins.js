'use strict';
// The Workbins API, version 2: the HTTP reply and the notifications of each request. The stand-in implements only
// what the public API reference describes; inferred behavior is marked as inferred.

const WORKBINS = '/v2/me/workbins';
const WORKITEMS = '/v2/me/workitems';
const OWNER_TYPES = ['Place', 'AgentGroup', 'PlaceGroup'];

const ok = body => ({status: 200, body: {statusCode: 0, ...body}});
const failed = (status, statusCode, statusMessage) => ({status, body: {statusCode, statusMessage}});
// The HTTP status of codes 1, 2 and 6 is inferred; there is no documented table.
const missing = name => failed(400, 1, `Required parameter '${name}' is missing.`);
const unknown = what => failed(404, 6, `${what} is not found.`);
// Text and status as observed when the multimedia channel is not open.
const NOT_OPENED = failed(500, 4, 'Interaction server connection is not opened');

class Workbins {
    /** `references` numbers the requests, `externalUrl` is the base of absolute URIs. */
    constructor(center, references, externalUrl) {
        this.center = center;
        this.references = references;
        this.externalUrl = externalUrl;
        this.subscribers = [];
    }

    // GET: synchronous, without notifications.

    get(session, segments, query) {
        const [id] = segments;
        this.references.next(); // reads also use a reference id (inferred from the observed gaps)
        if (id !== undefined) {
            const workbin = this.center.workbin(id);
            return workbin ? ok({workbin: this.resource(workbin, query.has('subresources'))}) : unknown('Workbin');
        }
        if (query.has('workbinIds')) {
            const named = query.get('workbinIds').split(',').map(each => this.center.workbin(each)).filter(Boolean);
            return ok({workbins: Object.fromEntries(named.map(each => [each.id, this.resource(each, query.has('subresources'))]))});
        }
        const visible = this.center.workbins.filter(each => each.type !== 'Agent' || each.owner === session.user.id);
        if (!query.has('fields')) {
            return ok({uris: visible.map(each => this.uri(each))});
        }
        return ok({workbins: visible.map(each => this.resource(each, false))});
    }

    uri(workbin) {
        return `${this.externalUrl}/api/v2/workbins/${workbin.id}`;
    }

    resource(workbin, withContent) {
        const {id, workbinName, displayName, type} = workbin;
        const found = {id, workbinName, displayName, uri: this.uri(workbin), type};
        const items = this.center.contentOf(workbin).map(item => this.item(item));
        if (withContent && items.length > 0) { // media arrays are absent when empty
            found.workitems = items;
        }
        return found;
    }

    item({id, receivedDate, subject, userData}) {
        return {id, receivedDate, subject, userData};
    }

    // POST: the reply contains only a reference id; notifications follow.

    post(session, segments, query, body, aboutUser) {
        if (!session.multimedia) {
            return NOT_OPENED;
        }
        const operation = body.operationName;
        if (operation === undefined) {
            return missing('operationName');
        }
        const ids = segments.length > 0 ? [segments[0]] : (query.get('workbinIds') || '').split(',').filter(Boolean);
        const targets = ids.map(id => this.center.workbin(id));
        if (targets.includes(undefined)) {
            return unknown('Workbin');
        }
        if (operation === 'RequestAgentStats') {
            return this.requestAgentStats(session, body, aboutUser);
        }
        if (targets.length === 0) {
            return missing('workbinIds');
        }
        if (operation === 'RequestStats') {
            return this.requestStats(targets[0]);
        }
        if (operation === 'Subscribe' || operation === 'Unsubscribe') {
            return this.subscription(session, operation, targets, segments.length === 0, query, aboutUser);
        }
        if (operation === 'AddWorkitem' || operation === 'PullWorkitem') {
            return this.move(session, operation, targets[0], body);
        }
        return failed(400, 2, `Operation '${operation}' is not supported.`);
    }

    requestAgentStats(session, {workbinType, workbinOwner}, aboutUser) {
        if (workbinType !== undefined && !OWNER_TYPES.includes(workbinType)) {
            return failed(400, 2, `Parameter 'workbinType' is invalid.`);
        }
        if (workbinType !== undefined && workbinOwner === undefined) {
            return missing('workbinOwner');
        }
        const owner = workbinOwner || (aboutUser || session.user).id;
        const referenceId = this.references.next();
        const workbinStats = this.center.ownerStats(workbinType || 'Agent', owner);
        return {...ok({referenceId}), events: [
            {channel: WORKBINS, data: {workbinStats, messageType: 'WorkbinStatsMessage', referenceId}},
        ]};
    }

    requestStats(workbin) {
        const referenceId = this.references.next();
        const workbinStats = this.center.workbinStats(workbin);
        const {id, type} = workbin;
        return {...ok({referenceId}), events: [
            {channel: WORKBINS, data: {workbinStats, id, workbinType: type, messageType: 'WorkbinStatsMessage', referenceId}},
        ]};
    }

    /** In the documented samples, notifications of a group have a referenceId, those of one or many workbins do not. */
    subscription(session, operation, targets, many, query, aboutUser) {
        const group = ['agentGroup', 'placeGroup'].filter(name => query.has(name)).map(name => [name, query.get(name)]);
        const stateResource = `${operation}d`;
        const numbered = targets.map(({id}) => [id, this.references.next()]);
        const events = numbered.map(([id, referenceId]) => ({channel: WORKBINS, data: {
            id,
            stateResource,
            ...(aboutUser && {workbinUserId: aboutUser.id}),
            ...Object.fromEntries(group),
            ...(group.length > 0 && {referenceId}),
            messageType: 'WorkbinSubscriptionStateChangeMessage',
        }}));
        this.remember(session, operation, targets);
        const others = many && operation === 'Subscribe' ? [this.addedByAnother(targets[0])] : [];
        return {...ok(many ? {referenceIds: Object.fromEntries(numbered)} : {referenceId: numbered[0][1]}), events, others};
    }

    remember(session, operation, targets) {
        const rest = this.subscribers.filter(([subscriber, id]) => subscriber !== session || !targets.some(each => each.id === id));
        const added = operation === 'Subscribe' ? targets.map(({id}) => [session, id]) : [];
        this.subscribers = [...rest, ...added];
    }

    /** The unsolicited notification of a subscriber when another user moves an interaction. */
    addedByAnother(workbin) {
        return {after: 700, channel: WORKBINS, data: {
            action: 'ItemAdded',
            id: workbin.id,
            chatStateResourceV2: {
                capabilities: ['PullChat'],
                chatType: 'Inbound',
                id: '00016AB14RQD007A',
                participants: [],
                receivedDate: '2016-04-08 15:05:57.000+0300', // the format of the documented sample
                userData: {},
            },
            messageType: 'WorkbinStateChangeMessage',
        }};
    }

    /**
     * Several notifications for one request: one of the item, and one of the workbin for each subscriber.
     * Inferred by analogy: the key `workitemStateResourceV2`, the action `ItemRemoved`.
     */
    move(session, operation, workbin, {id}) {
        const item = this.center.interactions.find(each => each.id === id);
        if (item === undefined) {
            return unknown('Interaction');
        }
        const adding = operation === 'AddWorkitem';
        item.workbin = adding ? workbin.id : null;
        const referenceId = this.references.next();
        const about = {channel: WORKBINS, data: {
            action: adding ? 'ItemAdded' : 'ItemRemoved',
            id: workbin.id,
            workitemStateResourceV2: this.item(item),
            messageType: 'WorkbinStateChangeMessage',
            referenceId,
        }};
        const own = {channel: WORKITEMS, data: {
            notificationType: 'StatusChange',
            workitem: this.item(item),
            messageType: 'WorkitemStateChangeMessage',
            referenceId,
        }};
        const subscribed = this.subscribers.some(([subscriber, each]) => subscriber === session && each === workbin.id);
        return {...ok({referenceId}), events: subscribed ? [own, about] : [own]};
    }
}

module.exports = {Workbins, failed, ok};
