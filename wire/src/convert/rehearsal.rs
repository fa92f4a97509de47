//! What would come of experiments.

use faultline_api::CallChain;
use faultline_core::rehearsal::{Chain, Rehearsal, Rehearsed};

use super::{
    desired::{frame, frame_out, predicate, predicate_out},
    values::{bounded, cut, fault, fault_out, name, remarks, remarks_out, required, text},
};
use crate::{
    error::WireError,
    limits::{MAX_CHAINS, MAX_FRAMES},
    message::{Rehearsals, Rehearse},
    pb,
};

impl TryFrom<pb::Rehearse> for Rehearse {
    type Error = WireError;
    fn try_from(pb::Rehearse { seq, chains }: pb::Rehearse) -> Result<Self, WireError> {
        bounded("rehearse.chains", chains.len(), MAX_CHAINS)?;
        let chains = chains.into_iter().map(chain).collect::<Result<_, _>>()?;
        Ok(Self { seq: required("rehearse.seq", seq)?, chains })
    }
}

impl From<&Rehearse> for pb::Rehearse {
    fn from(Rehearse { seq, chains }: &Rehearse) -> Self {
        Self { seq: Some(*seq), chains: chains.iter().map(chain_out).collect() }
    }
}

fn chain(pb::Chain { fault: what, call_chain, target_predicate }: pb::Chain) -> Result<Chain, WireError> {
    bounded("chain.call_chain", call_chain.len(), MAX_FRAMES)?;
    let frames = call_chain.into_iter().map(frame).collect::<Result<_, _>>()?;
    let target = target_predicate.map(predicate).transpose()?;
    Ok(Chain { fault: fault("chain.fault", what)?, call_chain: CallChain { frames, target } })
}

fn chain_out(Chain { fault, call_chain: CallChain { frames, target } }: &Chain) -> pb::Chain {
    pb::Chain {
        fault: fault_out(*fault).into(),
        call_chain: frames.iter().map(frame_out).collect(),
        target_predicate: target.as_ref().map(predicate_out),
    }
}

impl TryFrom<pb::Rehearsals> for Rehearsals {
    type Error = WireError;
    fn try_from(pb::Rehearsals { seq, rehearsals }: pb::Rehearsals) -> Result<Self, WireError> {
        bounded("rehearsals.rehearsals", rehearsals.len(), MAX_CHAINS)?;
        let rehearsals = rehearsals.into_iter().map(rehearsal).collect::<Result<_, _>>()?;
        Ok(Self { seq: required("rehearsals.seq", seq)?, rehearsals })
    }
}

impl From<&Rehearsals> for pb::Rehearsals {
    fn from(Rehearsals { seq, rehearsals }: &Rehearsals) -> Self {
        Self { seq: Some(*seq), rehearsals: rehearsals.iter().map(rehearsal_out).collect() }
    }
}

fn rehearsal(pb::Rehearsal { frames, target, problems }: pb::Rehearsal) -> Result<Rehearsal, WireError> {
    bounded("rehearsal.frames", frames.len(), MAX_FRAMES)?;
    Ok(Rehearsal {
        frames: frames.into_iter().map(rehearsed).collect::<Result<_, _>>()?,
        target: rehearsed(required("rehearsal.target", target)?)?,
        problems: remarks("rehearsal.problems", problems)?,
    })
}

fn rehearsal_out(Rehearsal { frames, target, problems }: &Rehearsal) -> pb::Rehearsal {
    pb::Rehearsal {
        frames: frames.iter().map(rehearsed_out).collect(),
        target: Some(rehearsed_out(target)),
        problems: remarks_out(problems),
    }
}

fn rehearsed(value: pb::Rehearsed) -> Result<Rehearsed, WireError> {
    let pb::Rehearsed { function, symbol, mechanism, problem } = value;
    Ok(Rehearsed {
        function: name("rehearsed.function", function)?,
        symbol: symbol.map(|symbol| name("rehearsed.symbol", symbol)).transpose()?,
        mechanism: mechanism.map(|mechanism| text("rehearsed.mechanism", mechanism)).transpose()?,
        problem: problem.map(|problem| text("rehearsed.problem", problem)).transpose()?,
    })
}

fn rehearsed_out(Rehearsed { function, symbol, mechanism, problem }: &Rehearsed) -> pb::Rehearsed {
    pb::Rehearsed {
        function: function.clone(),
        symbol: symbol.clone(),
        mechanism: mechanism.as_deref().map(cut),
        problem: problem.as_deref().map(cut),
    }
}
