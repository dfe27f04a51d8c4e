//! What rows are about, each with a number.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::map::{Parties, Party};

/// Parties and texts met so far. Both are bounded: what comes beyond shares one number.
#[derive(Debug)]
pub(super) struct Names {
    /// Parties as finely as rows tell them apart.
    pub(super) fine: Parties,
    /// The same without what tells pods of one workload apart.
    pub(super) coarse: Parties,
    /// Of each fine party its coarse one and its key.
    of_fine: Vec<(u32, i64)>,
    texts: HashMap<Box<str>, u32, RandomState>,
    in_order: Vec<Box<str>>,
}

/// Texts that are told apart: names looked up, reasons and functions.
const TEXTS_MAX: usize = 200_000;

/// Parties and texts at which [`Names::are_many`] says so.
const MANY: usize = 50_000;

impl Default for Names {
    fn default() -> Self {
        let mut names = Self {
            fine: Parties::default(),
            coarse: Parties::default(),
            of_fine: Vec::new(),
            texts: HashMap::default(),
            in_order: Vec::new(),
        };
        // The empty text has the number 0: the rows of what is too much have no other.
        names.text("");
        names
    }
}

impl Names {
    /// Coarse party and key of a fine one.
    pub(super) fn of_fine(&mut self, number: u32) -> (u32, i64) {
        while self.of_fine.len() <= number as usize {
            let next = u32::try_from(self.of_fine.len()).expect("there are fewer parties");
            let party: &Party = self.fine.get(next);
            self.of_fine.push((self.coarse.number(party.coarse()), party.key()));
        }
        self.of_fine[number as usize]
    }

    /// Number of a text.
    pub(super) fn text(&mut self, text: &str) -> u32 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        if self.in_order.len() >= TEXTS_MAX {
            return 0;
        }
        let number = u32::try_from(self.in_order.len()).expect("below the limit");
        self.in_order.push(text.into());
        self.texts.insert(text.into(), number);
        number
    }

    /// Text of a number.
    pub(super) fn get(&self, number: u32) -> &str {
        self.in_order.get(number as usize).map_or("", AsRef::as_ref)
    }

    /// Whether it is time to begin anew, so that parties and texts that are gone do not stay.
    pub(super) fn are_many(&self) -> bool {
        self.fine.len() > MANY || self.in_order.len() > MANY
    }
}
