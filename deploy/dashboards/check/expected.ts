// What a dashboard of ours is: Grafana's own type, with the options and targets of each panel, which that type leaves
// open, closed by the types of the panel's plugin.
import type { Dashboard, DataSourceRef, FieldConfigSource, Panel, VariableModel } from "@grafana/schema";
import type * as stateTimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as timeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** A type as JSON has it: a member of an enumeration is its text. */
type Json<T> = T extends string
  ? `${T}`
  : T extends readonly (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

/** The data source is the one chosen on the dashboard. */
interface Chosen extends DataSourceRef {
  type: "prometheus";
  uid: "${datasource}";
}

/** A query to Prometheus. Grafana publishes its type with the data source and not with the schema. */
interface Query {
  refId: string;
  datasource: Chosen;
  expr: string;
  legendFormat: string;
  range: true;
}

type Defaults = Omit<FieldConfigSource["defaults"], "custom">;

/** One property set for some of the series: of the field or, behind `custom.`, of the panel's plugin. */
type Property<Custom> =
  | { [Key in keyof Defaults]-?: { id: Key; value: NonNullable<Defaults[Key]> } }[keyof Defaults]
  | {
      [Key in keyof Custom & string]-?: { id: `custom.${Key}`; value: NonNullable<Custom[Key]> };
    }[keyof Custom & string];

interface Closed<Custom> {
  defaults: Defaults & { custom: Custom };
  overrides: {
    matcher: { id: "byName" | "byRegexp" | "byFrameRefID"; options: string };
    properties: Property<Custom>[];
  }[];
}

interface Of<Type extends string, Options, Custom>
  extends Required<Pick<Panel, "id" | "title" | "description" | "gridPos">> {
  type: Type;
  datasource: Chosen;
  targets: Query[];
  options: Options;
  fieldConfig: Closed<Custom>;
}

type OurPanel =
  | Of<"state-timeline", stateTimeline.Options, stateTimeline.FieldConfig>
  | Of<"timeseries", timeSeries.Options, timeSeries.FieldConfig>;

interface Ours extends Omit<Dashboard, "panels" | "templating"> {
  uid: string;
  panels: OurPanel[];
  templating: { list: VariableModel[] };
}

export type Expected = Json<Ours>;
