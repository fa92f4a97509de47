mod budgets;
mod counts;
mod ends;
mod fence;
mod leases;
mod modules;
mod property;
mod rig;
