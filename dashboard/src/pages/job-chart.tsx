import AreaChart, { type AreaChartProps } from "@cloudscape-design/components/area-chart";
import type { Sample } from "../jobs/history";
import { count } from "../ui/format";
import { Empty } from "../ui/states";

const clock = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** What became of the rows, as far as somebody watched. */
export default function JobChart({ samples }: { samples: Sample[] }) {
  const series = (title: string, value: (sample: Sample) => number): AreaChartProps.Series<Date> => ({
    type: "area",
    title,
    data: samples.map((sample) => ({ x: new Date(sample.time), y: value(sample) })),
    valueFormatter: count,
  });
  const last = samples.at(-1);
  const first = samples[0];
  return (
    <AreaChart
      height={220}
      hideFilter
      xScaleType="time"
      series={
        samples.length < 2
          ? []
          : [
              series("Written", (sample) => sample.rowsWritten),
              series("Superseded", (sample) => sample.rowsSuperseded),
              series("Rejected", (sample) => sample.rowsRejected),
            ]
      }
      {...(first && last && samples.length > 1 ? { xDomain: [new Date(first.time), new Date(last.time)] } : {})}
      xTickFormatter={(date) => clock.format(date)}
      // There are no halves of rows.
      yTickFormatter={(rows) => (Number.isInteger(rows) ? count(rows) : "")}
      xTitle="Time"
      yTitle="Rows"
      ariaLabel="Rows over time"
      ariaDescription="Rows that were written, superseded and rejected, as they were while this page was open."
      i18nStrings={{ xTickFormatter: (date: Date) => clock.format(date), detailPopoverDismissAriaLabel: "Close" }}
      empty={<Empty title="Nothing to draw">Only what happens while this page is open is drawn, point by point.</Empty>}
    />
  );
}
