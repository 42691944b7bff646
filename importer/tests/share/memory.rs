//! Pages in memory, which fail as told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use importer::write::share::Pages;
use importer::write::share::page::{Change, EMPTY, Page};
use importer::{Class, Error};
use tokio::time::{Instant, sleep};

/// What calls do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// They never answer, and nothing is done.
    Silent,
    /// They fail, and may be tried again.
    Failing,
    /// They are refused.
    Refusing,
}

/// The pages of one cap.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pages: Arc<Mutex<BTreeMap<usize, Page>>>,
    began: Instant,
}

/// One worker's way to them.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    memory: Memory,
    mood: Arc<Mutex<Mood>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            pages: Arc::default(),
            began: Instant::now(),
        }
    }

    pub(crate) fn way(&self) -> Way {
        Way {
            memory: self.clone(),
            mood: Arc::default(),
        }
    }
}

impl Way {
    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn answer(&self, operation: &'static str) -> Result<(), Error> {
        sleep(Duration::from_millis(3)).await;
        let mood = *self.mood.lock().unwrap();
        let class = match mood {
            Mood::Well => return Ok(()),
            Mood::Silent => std::future::pending().await,
            Mood::Failing => Class::Retry,
            Mood::Refusing => Class::Fatal,
        };
        Err(Error::Service {
            operation,
            problem: "it is told to".to_owned(),
            class,
            fix: "tell it otherwise".to_owned(),
            source: None,
        })
    }
}

impl Pages for Way {
    async fn look(&self) -> Result<BTreeMap<usize, Page>, Error> {
        self.answer("Query").await?;
        Ok(self.memory.pages.lock().unwrap().clone())
    }

    async fn change(&self, change: &Change) -> Result<Option<Page>, Error> {
        self.answer("UpdateItem").await?;
        let mut pages = self.memory.pages.lock().unwrap();
        let page = pages.entry(change.page).or_insert(EMPTY);
        let is_as_it_must =
            |swap: &importer::write::share::page::Swap| page[swap.register] == swap.from;
        if !change.swaps.iter().all(is_as_it_must) {
            return Ok(Some(*page));
        }
        for swap in &change.swaps {
            page[swap.register] = swap.to;
        }
        Ok(None)
    }

    fn wall_ms(&self) -> u64 {
        1_763_900_000_000 + self.memory.began.elapsed().as_millis() as u64
    }
}
