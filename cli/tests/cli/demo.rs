use crate::support::{Fixture, LIMIT, wait};

/// The acceptance test of the whole flow: what a newcomer's `cargo run` shows.
#[tokio::test]
async fn without_arguments_the_whole_flow_is_shown() {
    let bench = Fixture::new();
    let ended = bench.run::<&str>([]).await.expect(0);
    let words: Vec<String> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "P1001 Laptop 20 1200",
        "P1002 Mouse 100 20",
        "inventory.json COMPLETED read 2 written 2 superseded 0 rejected 0",
        "inventory.csv COMPLETED read 2 written 2 superseded 0 rejected 0",
        "E-mail to the subscribers of inventory-alerts",
    ] {
        assert!(
            words.iter().any(|words| words == line),
            "{line:?} is not in:\n{}",
            ended.stdout
        );
    }
    // One message for both rows or one for each, in any order, as the stream happens to be read.
    let text = &ended.stdout;
    let together = [["Laptop", "Mouse"], ["Mouse", "Laptop"]]
        .iter()
        .any(|[one, two]| text.contains(&format!("2 products added:\n\n  - {one}\n  - {two}\n")));
    let apart = ["Laptop", "Mouse"]
        .iter()
        .all(|name| text.contains(&format!("New product added: {name}\n")));
    assert!(together != apart, "{text}");
    for subject in [
        "Subject: Inventory Update",
        "Subject: Import finished: inventory.json\n",
        "Subject: Import finished: inventory.csv\n",
    ] {
        assert!(text.contains(subject), "no {subject:?} in:\n{text}");
    }
}

/// As in `intake | head -1`: no panic, and the stack is gone.
#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly() {
    let bench = Fixture::new();
    let mut child = bench.command::<&str>([]).spawn().unwrap();
    drop(child.stdout.take());
    let ended = tokio::time::timeout(LIMIT, wait(child))
        .await
        .unwrap()
        .expect(0);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}
