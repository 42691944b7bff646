//! What every HTTP server here shares: listening on loopback, reading requests, answering, and which pages may call.
//! No AWS service is known here.

mod cors;
mod listener;
mod message;

pub(crate) use self::cors::cors;
pub(crate) use self::listener::{Bound, BoxError, CloseConnection, Handler, Server, bind, service};
pub(crate) use self::message::{
    MAX_BODY_BYTES, header, read_body, read_body_up_to, response, set_header,
};
