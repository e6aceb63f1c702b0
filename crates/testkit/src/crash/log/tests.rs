use super::*;

fn read(trace: &str) -> Result<Log, Problem> {
    parse(trace, Path::new("/f"))
}

const OPEN: &str = "7  openat(AT_FDCWD</>, \"/f/a\", O_RDWR|O_CREAT, 0600) = 3</f/a>\n";

#[test]
fn calls_become_operations_in_their_order() {
    let rest = "7  pwrite64(3</f/a>, \"a\\x00\\xff\\\")\", 5, 512) = 5\n\
        7  write(1</dev/null>, \"promise 1\\n\", 10) = 10\n\
        7  fdatasync(3</f/a>)                       = 0\n\
        7  openat(AT_FDCWD</>, \"/f\", O_RDONLY|O_CLOEXEC) = 4</f>\n\
        7  fsync(4</f>) = 0\n\
        7  close(4</f>) = 0\n\
        7  openat(AT_FDCWD</>, \"/etc/other\", O_RDONLY) = 4</etc/other>\n\
        7  pwrite64(4</etc/other>, \"x\", 1, 0) = 1\n\
        7  ftruncate(3</f/a>, 100) = 0\n\
        7  unlink(\"/f/a\") = 0\n\
        7  close(3</f/a>(deleted)) = 0\n\
        7  +++ exited with 0 +++\n";
    let file = FileId(0);
    let log = read(&[OPEN, rest].concat()).expect("a good trace");
    assert_eq!(
        log.entries,
        [
            Entry::Op(Op::Create { name: "a".into(), file }),
            Entry::Op(Op::Write { file, offset: 512, bytes: b"a\x00\xff\")".to_vec() }),
            Entry::Note("promise 1".into()),
            Entry::Op(Op::Sync { file }),
            Entry::Op(Op::SyncFolder),
            Entry::Op(Op::Truncate { file, len: 100 }),
            Entry::Op(Op::Unlink { name: "a".into() }),
        ]
    );
}

#[test]
fn a_name_that_is_made_again_is_another_file() {
    let again = "7  unlink(\"/f/a\") = 0\n7  close(3</f/a>(deleted)) = 0\n";
    let log = read(&[OPEN, again, OPEN].concat()).expect("a good trace");
    assert_eq!(
        log.entries.last(),
        Some(&Entry::Op(Op::Create { name: "a".into(), file: FileId(1) }))
    );
}

#[test]
fn a_sync_that_does_nothing_is_none() {
    let lie = "7  fdatasync(3</f/a>) = 0 (INJECTED)\n";
    assert_eq!(read(&[OPEN, lie].concat()).expect("a good trace").entries.len(), 1);
}

#[test]
fn what_the_model_does_not_know_is_an_error() {
    for (bad, why) in [
        ("7  writev(3</f/a>, [], 0) = 0\n", "does not know this call"),
        ("7  fallocate(3</f/a>, 0, 0, 4096) = 0\n", "does not know this call"),
        ("7  write(3</f/a>, \"x\", 1) = 1\n", "does not know this call"),
        (
            "7  mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 3</f/a>, 0) = 0x7f00\n",
            "does not know this call",
        ),
        ("7  pwrite64(3</f/a>, \"x\"..., 100, 0) = 100\n", "was cut"),
        ("7  pwrite64(9</f/a>, \"x\", 1, 0) = 1\n", "never opened"),
        ("7  fdatasync(3</f/a>) = -1 EIO (Input/output error)\n", "failed"),
        ("7  fdatasync(3</f/a> <unfinished ...>\n", "two threads"),
        ("7  openat(AT_FDCWD</>, \"/f/b\", O_RDWR) = 4</f/b>\n", "there before"),
    ] {
        let problem = read(&[OPEN, bad].concat()).expect_err(bad);
        assert!(problem.contains(why), "{problem}");
    }
    let shared = "7  openat(AT_FDCWD</>, \"/f/a-shm\", O_RDWR|O_CREAT, 0600) = 4</f/a-shm>\n\
        7  mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 4</f/a-shm>, 0) = 0x7f00\n";
    assert_eq!(read(&[OPEN, shared].concat()).expect("the log's index").entries.len(), 1);
}
