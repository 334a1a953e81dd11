use sudare_protocol::tlog::merkle::leaf_hash;

use super::*;

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|leaf| drop(tree.push(leaf_hash(&leaf.to_be_bytes()))));
    tree
}

fn open(dir: &Path) -> Outbox {
    Outbox::open(dir, "log as ocsf").unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir.join("outbox")).unwrap();
    let mut names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_position_in_a_log_of_any_size_survives() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_536, 65_537, 65_536 + 256 + 7] {
        let tree = tree(size);
        let position = Position::of(&tree);
        let again = serde_json::from_slice::<Position>(&json(&position)).unwrap().tree().unwrap();
        assert_eq!((again.size(), again.root()), (size, tree.root()));
    }
}

#[test]
fn after_a_kill_at_any_step_the_batches_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut outbox = open(dir.path());
    outbox.push(&tree(5), vec!["a".into()]).unwrap();
    outbox.push(&tree(9), vec![]).unwrap();
    outbox.push(&tree(12), vec!["b".into(), "c".into()]).unwrap();
    drop(outbox);
    let mut outbox = open(dir.path());
    // The leaves 5 to 8 held no alarm and their position was not saved, so they are read again.
    assert_eq!((outbox.read().size(), outbox.waiting_events()), (5, 1));
    assert_eq!(names(dir.path()), ["00000000000000000000"]);
    outbox.push(&tree(12), vec!["b".into(), "c".into()]).unwrap();

    let first = outbox.front().unwrap().unwrap();
    assert_eq!(first.events, ["a"]);
    let file = fs::read(outbox.path(0)).unwrap();
    outbox.accept(&first).unwrap();
    drop(outbox);
    // Killed between saving the cursor and deleting the batch.
    fs::write(dir.path().join("outbox/00000000000000000000"), file).unwrap();
    let mut outbox = open(dir.path());
    assert_eq!(outbox.front().unwrap().unwrap().events, ["b", "c"]);
    assert_eq!((outbox.accepted_leaves(), outbox.accepted_events()), (5, 1));
    assert_eq!(names(dir.path()), ["00000000000000000005"]);
}

#[test]
fn an_unreadable_batch_is_rebuilt_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut outbox = open(dir.path());
    for (size, event) in [(3, "a"), (6, "b"), (9, "c")] {
        outbox.push(&tree(size), vec![event.into()]).unwrap();
    }
    drop(outbox);
    fs::write(dir.path().join("outbox/00000000000000000003"), "{").unwrap();
    fs::write(dir.path().join("outbox/00000000000000000003.new"), "{").unwrap();
    let outbox = open(dir.path());
    assert_eq!((outbox.read().size(), outbox.waiting_events()), (3, 1));
    assert_eq!(names(dir.path()), ["00000000000000000000"]);
}

#[test]
fn a_contradiction_is_reported_once_also_after_a_kill_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let mut outbox = open(dir.path());
    outbox.push(&tree(4), vec!["a".into()]).unwrap();
    outbox.push_contradiction("x", "c".into()).unwrap();
    assert_eq!(outbox.waiting_events(), 1, "it waits until the batch before it is accepted");
    let batch = outbox.front().unwrap().unwrap();
    outbox.accept(&batch).unwrap();
    outbox.push_contradiction("x", "c".into()).unwrap();
    outbox.push_contradiction("x", "c".into()).unwrap();
    assert!((outbox.waiting_events(), outbox.has_room()) == (1, false));
    drop(outbox);
    let mut outbox = open(dir.path());
    assert!((outbox.waiting_events(), outbox.has_room()) == (1, false));
    let batch = outbox.front().unwrap().unwrap();
    let file = fs::read(outbox.path(4)).unwrap();
    outbox.accept(&batch).unwrap();
    drop(outbox);
    fs::write(dir.path().join("outbox/00000000000000000004"), file).unwrap();
    let mut outbox = open(dir.path());
    outbox.push_contradiction("x", "c".into()).unwrap();
    assert_eq!((outbox.waiting_events(), outbox.has_room()), (0, true));
}

#[test]
fn a_folder_belongs_to_one_forwarder_of_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut outbox = open(dir.path());
    assert!(matches!(Outbox::open(dir.path(), "log as ocsf"), Err(OutboxError::Locked(_))));
    outbox.push(&tree(5000), vec![]).unwrap();
    outbox.remember().unwrap();
    drop(outbox);
    assert!(matches!(Outbox::open(dir.path(), "other"), Err(OutboxError::Foreign { .. })));
    assert_eq!(open(dir.path()).read().size(), 5000);
    fs::write(dir.path().join("cursor"), "{}").unwrap();
    assert!(matches!(Outbox::open(dir.path(), "log as ocsf"), Err(OutboxError::Damaged(_))));
}
