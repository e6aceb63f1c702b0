use super::*;

const A: FileId = FileId(0);

fn create(name: &str, file: FileId) -> Op {
    Op::Create { name: name.into(), file }
}

fn write(offset: usize, bytes: &[u8]) -> Op {
    Op::Write { file: A, offset, bytes: bytes.to_vec() }
}

fn image_of(ops: &[Op], fates: &[(usize, Fate)]) -> Image {
    let mut disk = Disk::default();
    for op in ops {
        disk.push(op);
    }
    disk.image(fates)
}

fn one(name: &str, bytes: &[u8]) -> Image {
    Image::from([(name.to_owned(), bytes.to_vec())])
}

#[test]
fn only_a_sync_makes_durable_and_only_its_own_kind() {
    let mut ops = vec![create("a", A), write(0, b"one"), Op::Sync { file: A }];
    assert_eq!(image_of(&ops, &[]), Image::new(), "the name is not durable");
    assert_eq!(image_of(&ops, &[(0, Fate::Whole)]), one("a", b"one"));
    ops.push(Op::SyncFolder);
    assert_eq!(image_of(&ops, &[]), one("a", b"one"));
    ops.push(write(3, b"two"));
    ops.push(Op::SyncFolder);
    assert_eq!(image_of(&ops, &[]), one("a", b"one"), "the bytes are not");
    ops.push(Op::Sync { file: A });
    assert_eq!(image_of(&ops, &[]), one("a", b"onetwo"));
}

#[test]
fn a_removed_name_may_come_back_and_a_new_file_take_it() {
    let second = FileId(1);
    let mut ops = vec![create("a", A), write(0, b"old"), Op::Sync { file: A }, Op::SyncFolder];
    ops.extend([Op::Unlink { name: "a".into() }, create("a", second)]);
    assert_eq!(image_of(&ops, &[]), one("a", b"old"));
    assert_eq!(image_of(&ops, &[(0, Fate::Whole)]), Image::new());
    assert_eq!(image_of(&ops, &[(0, Fate::Whole), (1, Fate::Whole)]), one("a", b""));
    ops[4] = Op::Rename { from: "a".into(), to: "b".into() };
    assert_eq!(image_of(&ops, &[(0, Fate::Whole)]), one("b", b"old"));
}

#[test]
fn a_write_is_torn_at_the_borders_of_sectors() {
    let bytes: Vec<u8> = (0..1200_u32).map(|i| (i % 251) as u8 + 1).collect();
    let op = write(500, &bytes);
    assert_eq!(borders(&op), [12, 524, 1036]);
    assert_eq!(borders(&write(0, &[1; 512])), [0; 0]);
    assert_eq!(borders(&write(512, &[1; 513])), [512]);
    let ops = [create("a", A), Op::SyncFolder, op];
    let content = |fate| image_of(&ops, &[(0, fate)]).remove("a").expect("durable");
    assert_eq!(content(Fate::Lost), [0; 0]);
    assert_eq!(content(Fate::Grown), [0; 1700]);
    let head = content(Fate::Head(12));
    assert_eq!((head.len(), &head[500..]), (512, &bytes[..12]));
    let grown = content(Fate::HeadGrown(12));
    assert_eq!((grown.len(), &grown[..512]), (1700, &head[..]));
    assert!(grown[512..].iter().all(|byte| *byte == 0));
    let tail = content(Fate::Tail(524));
    assert!(tail[..1024].iter().all(|byte| *byte == 0));
    assert_eq!(tail[1024..], bytes[524..]);
}

#[test]
fn what_is_written_twice_is_what_came_last() {
    let ops = [create("a", A), Op::SyncFolder, write(0, b"one"), write(0, b"two")];
    assert_eq!(image_of(&ops, &[(0, Fate::Whole), (1, Fate::Whole)]), one("a", b"two"));
    assert_eq!(image_of(&ops, &[(1, Fate::Whole), (0, Fate::Whole)]), one("a", b"one"));
    let cut = [create("a", A), write(0, b"one"), Op::Truncate { file: A, len: 1 }];
    let all: Vec<_> = (0..3).map(|i| (i, Fate::Whole)).collect();
    assert_eq!(image_of(&cut, &all), one("a", b"o"));
}
