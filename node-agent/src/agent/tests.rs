mod budgets;
mod ends;
mod fence;
mod leases;
mod property;
mod rig;
