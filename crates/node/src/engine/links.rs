//! The links that the machine knows of, and how to reach them.

use std::collections::BTreeMap;

use tortalk_mesh::{LinkAction, LinkId};
use tortalk_wire::ByeReason;

use crate::links::{LinkOrder, Orders};

/// Every link between its `LinkUp` and its `LinkDown`.
#[derive(Debug, Default)]
pub(super) struct LinkTable(BTreeMap<LinkId, Orders>);

impl LinkTable {
    pub(super) fn insert(&mut self, link: LinkId, orders: Orders) {
        self.0.insert(link, orders);
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
        if let Some(orders) = self.0.get(&link) {
            // A link that has just ended takes no orders; its LinkDown follows.
            let _ended = orders.send(order);
        }
    }

    /// Closes every link and forgets it: what still comes from one is ignored.
    pub(super) fn close_all(&mut self, reason: ByeReason) {
        for orders in core::mem::take(&mut self.0).into_values() {
            let _ended = orders.send(LinkOrder::Close(reason));
        }
    }

    /// Closes a link that never gets into a table.
    pub(super) fn turn_away(orders: &Orders) {
        let _ended = orders.send(LinkOrder::Close(ByeReason::Unspecified));
    }
}
