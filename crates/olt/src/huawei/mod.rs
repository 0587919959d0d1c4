//! Replies of Huawei SmartAX OLTs.

pub mod lex;
mod lists;
pub mod parse;
pub mod shapes;
mod tables;

/// The parser of Huawei SmartAX replies.
#[derive(Debug, Clone, Copy)]
pub struct Huawei;
