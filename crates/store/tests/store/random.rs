//! Random sequences of writes: the store and the oracle always agree.

use std::marker::PhantomData;

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tortalk_mesh::Write;

use crate::oracle::Oracle;
use crate::world::World;
use crate::writes::{envelope_step, step};

pub(crate) const PEOPLE: u8 = 3;
pub(crate) const MESSAGES: u8 = 6;
pub(crate) const ENVELOPES: u8 = 6;
pub(crate) const HOURS: u64 = 8;
/// In lower case; the first three letters tell them apart.
pub(crate) const WORDS: [&str; 4] = ["harbour", "lantern", "über", "river"];

/// What happens to the store next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Box<Write>),
    Commit,
    Rollback,
    Reopen,
}

/// What the store has to answer inside the open transaction, and what it will
/// have to answer if that one is lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    now: Oracle,
    committed: Oracle,
}

/// Where the steps come from.
pub(crate) trait Draw: 'static {
    fn step() -> BoxedStrategy<Step>;
}

/// Writes of all kinds.
pub(crate) struct AllWrites;

impl Draw for AllWrites {
    fn step() -> BoxedStrategy<Step> {
        step().boxed()
    }
}

/// Few envelopes and people, so that everything happens to each of them.
pub(crate) struct EnvelopeWrites;

impl Draw for EnvelopeWrites {
    fn step() -> BoxedStrategy<Step> {
        envelope_step().boxed()
    }
}

/// The oracle, and beside it a store in a file that has a transaction open.
pub(crate) struct Agrees<D>(PhantomData<D>);

impl<D: Draw> ReferenceStateMachine for Agrees<D> {
    type State = Expected;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Expected> {
        Just(Expected::default()).boxed()
    }

    fn transitions(_: &Expected) -> BoxedStrategy<Step> {
        D::step()
    }

    fn apply(mut expected: Expected, step: &Step) -> Expected {
        match step {
            Step::Write(write) => expected.now.apply(write),
            Step::Commit => expected.committed = expected.now.clone(),
            // What is not committed when the process ends is gone.
            Step::Rollback | Step::Reopen => expected.now = expected.committed.clone(),
        }
        expected
    }
}

impl<D: Draw> StateMachineTest for Agrees<D> {
    type SystemUnderTest = World;
    type Reference = Self;

    fn init_test(_: &Expected) -> World {
        let mut world = World::new();
        world.store.begin().expect("a transaction");
        world
    }

    fn apply(mut world: World, _: &Expected, step: Step) -> World {
        match step {
            Step::Write(write) => {
                world.store.apply(std::slice::from_ref(&*write)).expect("a write");
                return world;
            }
            Step::Commit => world.store.commit().expect("a commit"),
            Step::Rollback => world.store.rollback().expect("a rollback"),
            Step::Reopen => world = world.reopen(),
        }
        world.store.begin().expect("a transaction");
        world
    }

    fn check_invariants(world: &World, expected: &Expected) {
        expected.now.check(&world.store);
    }

    fn teardown(mut world: World, expected: Expected) {
        world.store.commit().expect("a commit");
        expected.now.check(&world.store);
        expected.now.check(&world.reopen().store);
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 32, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_answer_is_the_oracles(sequential 1..60 => Agrees<AllWrites>);

    #[test]
    fn envelopes_in_every_order(sequential 1..60 => Agrees<EnvelopeWrites>);
}
