import { getLocalTimeZone, now, type ZonedDateTime } from "@internationalized/date";
import { Calendar, CalendarCell, CalendarGrid, DateInput, DatePicker, DateSegment, Dialog, FieldError, Group, Heading, Label, Popover, Text } from "react-aria-components";
import { CalendarDays, ChevronLeft, ChevronRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  value: ZonedDateTime | null;
  onChange: (value: ZonedDateTime | null) => void;
}

/** A time in the future, in the viewer's zone. */
export function DateTime({ label, hint, error, value, onChange }: Props) {
  const { t } = useTranslation();
  return (
    <DatePicker className="field" value={value} onChange={onChange} granularity="minute" validationBehavior="aria" minValue={now(getLocalTimeZone())} isInvalid={error !== undefined}>
      <Label>{label}</Label>
      <Group className="date">
        <DateInput className="segments">{(segment) => <DateSegment segment={segment} className="segment" />}</DateInput>
        <Button kind="plain" aria-label={t("openCalendar")}>
          <CalendarDays size={18} aria-hidden />
        </Button>
      </Group>
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="error">{error}</FieldError>
      <Popover className="popover">
        <Dialog>
          <Calendar className="calendar">
            <header>
              <Button slot="previous" kind="plain">
                <ChevronLeft size={18} aria-hidden />
              </Button>
              <Heading level={2} />
              <Button slot="next" kind="plain">
                <ChevronRight size={18} aria-hidden />
              </Button>
            </header>
            <CalendarGrid>{(date) => <CalendarCell date={date} className="day" />}</CalendarGrid>
          </Calendar>
        </Dialog>
      </Popover>
    </DatePicker>
  );
}
