//! The links that the machine knows of, and how to reach them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use tortalk_keys::link_auth::Role;
use tortalk_mesh::{LinkAction, LinkId};
use tortalk_model::InstanceId;
use tortalk_wire::ByeReason;

use crate::links::{LinkOrder, Orders};

/// Every link between its `LinkUp` and its `LinkDown`.
#[derive(Debug, Default)]
pub(super) struct LinkTable(BTreeMap<LinkId, Row>);

#[derive(Debug)]
struct Row {
    orders: Orders,
    to: LinkedTo,
}

/// Where a link leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkedTo {
    pub(super) address: SocketAddr,
    pub(super) instance_id: InstanceId,
    /// Ours.
    pub(super) role: Role,
    pub(super) since: Instant,
}

impl LinkTable {
    pub(super) fn insert(&mut self, link: LinkId, orders: Orders, to: LinkedTo) {
        self.0.insert(link, Row { orders, to });
    }

    /// Where all of them lead.
    pub(super) fn linked_to(&self) -> impl Iterator<Item = &LinkedTo> {
        self.0.values().map(|row| &row.to)
    }

    pub(super) fn contains(&self, link: LinkId) -> bool {
        self.0.contains_key(&link)
    }

    /// Whether the link was there.
    pub(super) fn remove(&mut self, link: LinkId) -> bool {
        self.0.remove(&link).is_some()
    }

    pub(super) fn apply(&self, action: LinkAction) {
        let (link, order) = match action {
            LinkAction::Admit(link) => (link, LinkOrder::Admit),
            LinkAction::Send(link, frame) => (link, LinkOrder::Send(Box::new(frame))),
            LinkAction::Close(link, reason) => (link, LinkOrder::Close(reason)),
            LinkAction::Drop(link) => (link, LinkOrder::Drop),
        };
        if let Some(Row { orders, .. }) = self.0.get(&link) {
            // A link that has just ended takes no orders; its LinkDown follows.
            let _ended = orders.send(order);
        }
    }

    /// Closes every link and forgets it: what still comes from one is ignored.
    pub(super) fn close_all(&mut self, reason: ByeReason) {
        for Row { orders, .. } in core::mem::take(&mut self.0).into_values() {
            let _ended = orders.send(LinkOrder::Close(reason));
        }
    }

    /// Closes a link that never gets into a table.
    pub(super) fn turn_away(orders: &Orders) {
        let _ended = orders.send(LinkOrder::Close(ByeReason::Unspecified));
    }
}
