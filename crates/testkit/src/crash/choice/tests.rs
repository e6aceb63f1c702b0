use super::*;
use crate::crash::log::FileId;

const FILE: FileId = FileId(0);

fn three() -> [Op; 3] {
    let write = |offset| Op::Write { file: FILE, offset, bytes: vec![1; 1024] };
    [Op::Create { name: "a".into(), file: FILE }, write(0), write(1024)]
}

#[test]
fn every_choice_has_a_name_that_leads_back() {
    let ops = three();
    let pending: Vec<&Op> = ops.iter().collect();
    let all = Choice::all(&pending, 3);
    for choice in &all {
        assert_eq!(choice.to_string().parse(), Ok(*choice));
    }
    assert_eq!(all.len(), 3 + 3 + 3 + 2 + 2 + 3);
    for bad in ["", "without", "without-x", "nowhere-3"] {
        assert!(bad.parse::<Choice>().is_err(), "{bad}");
    }
    assert_eq!(Choice::all(&[], 3), [Choice::All, Choice::Nothing]);
    assert_eq!(Choice::few(&pending).len(), 3);
}

#[test]
fn a_choice_says_what_becomes_of_each() {
    let ops = three();
    let pending: Vec<&Op> = ops.iter().collect();
    let fates = |choice: Choice| -> Vec<Fate> {
        choice.fates(&pending, 1, 1).into_iter().map(|(_, fate)| fate).collect()
    };
    assert_eq!(fates(Choice::All), [Fate::Whole; 3]);
    assert_eq!(fates(Choice::Nothing), []);
    assert_eq!(fates(Choice::Without(1)), [Fate::Whole, Fate::Lost, Fate::Whole]);
    assert_eq!(fates(Choice::Only(2)), [Fate::Whole, Fate::Lost, Fate::Whole]);
    assert_eq!(fates(Choice::Head(512)), [Fate::Whole, Fate::Whole, Fate::Head(512)]);
}

#[test]
fn what_is_random_depends_on_its_numbers_alone() {
    let ops = three();
    let pending: Vec<&Op> = ops.iter().collect();
    let fates = |seed, cut, number| Choice::Random(number).fates(&pending, seed, cut);
    assert_eq!(fates(1, 2, 3), fates(1, 2, 3));
    let some: Vec<_> = (0..64).map(|number| fates(1, 2, number)).collect();
    let swapped = |fates: &[(usize, Fate)]| fates[1].0 > fates[2].0;
    assert!(some.iter().any(|fates| swapped(fates)));
    assert!(some.iter().any(|fates| fates[1].1 == Fate::Lost && fates[2].1 == Fate::Whole));
    assert!(some.iter().all(|fates| fates[0].0 == 0), "names keep their order");
}
