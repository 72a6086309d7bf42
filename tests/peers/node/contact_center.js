'use strict';
// The state of the stand-in: users, workbins and their contents.

const fs = require('fs');
const path = require('path');

class ContactCenter {
    constructor() {
        const file = path.join(__dirname, 'contact_center.json');
        Object.assign(this, JSON.parse(fs.readFileSync(file, 'utf8')));
    }

    userWithPassword(userName, password) {
        return this.users.find(user => user.userName === userName && user.password === password);
    }

    user(id) {
        return this.users.find(user => user.id === id);
    }

    workbin(id) {
        return this.workbins.find(workbin => workbin.id === id);
    }

    contentOf(workbin) {
        return this.interactions.filter(interaction => interaction.workbin === workbin.id);
    }

    /** Form A: workbin id -> {Count, Owner, Type}, for the workbins of one owner. */
    ownerStats(type, owner) {
        const owned = this.workbins.filter(workbin => workbin.type === type && workbin.owner === owner);
        return Object.fromEntries(owned.map(workbin => [workbin.id, {
            Count: this.contentOf(workbin).length, Owner: workbin.owner, Type: workbin.type,
        }]));
    }

    /** Form B: owner id -> times and number, for one workbin. Documented for an agent's; inferred for the others. */
    workbinStats(workbin) {
        const moved = this.contentOf(workbin).map(interaction => interaction.movedAt).sort();
        if (moved.length === 0) {
            return {};
        }
        return {[workbin.owner]: {
            MaxMovedToQueueAt: moved.at(-1), MinMovedToQueueAt: moved[0], NumberOfInteractions: moved.length,
        }};
    }
}

module.exports = {ContactCenter};
