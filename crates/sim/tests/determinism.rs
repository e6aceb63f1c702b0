//! The same seed leads to the same trace, byte for byte.

use tortalk_sim::{Keep, Sabotage, swarm};

#[test]
fn a_seed_has_one_trace() {
    for seed in [1, 4, 22] {
        let plan = swarm::plan(seed, Sabotage::None);
        let first = tortalk_sim::run(&plan, Keep::Whole);
        let second = tortalk_sim::run(&plan, Keep::Whole);
        assert_eq!(first.violation, None);
        assert!(first.lines > 50, "something happens in seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.trace_hash, second.trace_hash);
        let last = tortalk_sim::run(&plan, Keep::Last);
        assert_eq!(last.trace_hash, first.trace_hash, "keeping a trace changes nothing");
    }
}

#[test]
fn seeds_differ() {
    let trace = |seed| tortalk_sim::run(&swarm::plan(seed, Sabotage::None), Keep::Last).trace_hash;
    assert_ne!(trace(4), trace(22));
}
